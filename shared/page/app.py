"""The page, a script that Streamlit runs anew at each click: `streamlit run shared/page/app.py`.

A client of the API like any other. What is shown hangs on the address (`?job=12`): it can be reloaded,
kept and sent on.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.scriptrunner import get_script_run_ctx

from shared.page import job
from shared.page.password import is_admitted
from shared.page.words import plain
from voxmood.client import Client
from voxmood.errors import VoxmoodError
from voxmood.packing import OpenFile

if TYPE_CHECKING:
    from streamlit.runtime.uploaded_file_manager import UploadedFile

ICON = Path(__file__).with_name("icon.svg")
HINT = """Archives: zip or tar, also compressed. Recordings: WAV, FLAC, AIFF, OGG, MP3 and more.
A larger archive: `voxmood submit recordings.zip`"""


def main() -> None:
    """One run of the script, from top to bottom."""
    # Our own file: Streamlit would fetch a symbol that it has by name from Google.
    st.set_page_config(page_title="voxmood", page_icon=str(ICON))
    st.title("voxmood")
    st.caption("Which emotion is heard in a recording of speech or song?")
    if not is_admitted():
        return
    try:
        client = _client()
        _drop(client)
        if "job" in st.query_params:
            job.show(client, st.query_params["job"])
    except VoxmoodError as error:
        st.error(plain(str(error)))


@st.cache_resource
def _client() -> Client:
    """One for all who look, with its open connections."""
    return Client()


def _drop(client: Client) -> None:
    """Where files are dropped; what was dropped becomes a job."""
    if refusal := st.session_state.pop("refusal", None):
        st.error(plain(refusal))
    turn = st.session_state.setdefault("turn", 0)
    file = st.file_uploader("Drop a recording, or an archive of recordings", key=f"file-{turn}")
    st.caption(HINT)
    if file is None:
        return
    st.session_state.turn = turn + 1  # another key makes another, empty field
    try:
        number = _send(client, file)
    except VoxmoodError as error:
        st.session_state.refusal = str(error)
    else:
        st.query_params["job"] = str(number)
    finally:
        _forget(file)
    st.rerun()


def _forget(file: UploadedFile) -> None:
    """Give its memory back: Streamlit keeps each file that was ever dropped as long as the visitor stays."""
    context = get_script_run_ctx()
    if context is not None and isinstance(context.uploaded_file_mgr, MemoryUploadedFileManager):
        context.uploaded_file_mgr.remove_file(context.session_id, file.file_id)


def _send(client: Client, file: UploadedFile) -> int:
    """Make the file a job that runs; the job's number."""
    sentence = f"Sending {plain(file.name)}"
    bar = st.progress(0.0, sentence)
    number = client.create_job(file.name).id
    content = OpenFile(file, file.size)
    client.put_upload(
        number, file.name, content, on_sent=lambda _: bar.progress(file.tell() / file.size, sentence)
    )
    client.start(number)
    bar.empty()
    return number


if __name__ == "__main__":
    main()
