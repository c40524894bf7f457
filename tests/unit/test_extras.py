"""What does without the extras `train` and `page`: the API, the workers' programs, answers by ONNX."""

from __future__ import annotations

import subprocess
import sys

import pytest

# Refuses what the extras bring, as where they are not installed.
WITHOUT_EXTRAS = """
import sys
from importlib.abc import MetaPathFinder

class Absent(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"tensorflow", "keras", "tf2onnx", "streamlit"}:
            raise ModuleNotFoundError(f"{name} is not installed")

sys.meta_path.insert(0, Absent())
"""
CLASSIFY = """
from shared.audio.synthesis import speech_like, wav_bytes
from shared.core.settings import Settings
from shared.models.serving.classifier import Classifier

settings = Settings()
classifier = Classifier.load(settings.model_folders, settings.champion)
(heard,) = classifier.classify([("a.wav", wav_bytes(speech_like(), 16_000))])
assert heard.outcome in ("rejected", "classified", "no_voice"), heard
"""
API = """
from api.app import create_app
from shared.core.settings import Settings

assert create_app(Settings()).openapi()
"""


@pytest.mark.parametrize(
    "program",
    [
        API,
        "import workers.app, workers.unpack, workers.classify, workers.notify, workers.purge, workers.sweep",
        CLASSIFY,
        "import voxmood.cli.main; assert len([*voxmood.cli.main.Root().commands.values()]) > 20",
    ],
    ids=["API", "workers", "classify", "commands"],
)
def test_it_needs_neither_tensorflow_nor_streamlit(program: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_EXTRAS + program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        (["train", "--data", "."], "Training takes tensorflow, which is not installed here."),
        (["evaluate", "--protocol", "seed", "--data", "."], "Training takes tensorflow, which is not"),
    ],
)
def test_a_command_that_takes_an_extra_says_so(command: list[str], sentence: str) -> None:
    program = f"import sys; sys.modules['tensorflow'] = None; sys.argv = ['voxmood', *{command}];"
    program += "from voxmood.cli.main import main; main()"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert sentence in " ".join(done.stderr.split())


def test_what_is_refused_here_is_really_refused() -> None:
    program = WITHOUT_EXTRAS + "import keras"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert "keras is not installed" in done.stderr
