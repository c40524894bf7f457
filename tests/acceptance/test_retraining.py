"""Labels in, a candidate out, by the command and the stack's own train worker."""

from __future__ import annotations

import json
from pathlib import Path

import psutil
import pytest

from shared.audio.synthesis import speech_like, wav_bytes
from tests.acceptance.jobs import Api
from tests.archive_builders import zip_of

RATE = 16_000


def voice(emotion: str, seed: int) -> bytes:
    return wav_bytes(speech_like(emotion, RATE, 0.6, seed=seed), RATE)


def test_labels_are_imported_wrong_lines_are_named_and_retraining_says_what_it_lacks(
    stack, api: Api, tmp_path: Path
) -> None:
    uploads = {
        "a.zip": zip_of({"one.wav": voice("happy", 1), "two.wav": voice("angry", 2)}),
        "b.zip": zip_of({"one.wav": voice("calm", 3), "text.wav": b"no recording"}),
    }
    job = api.run(uploads)["id"]
    table = tmp_path / "labels.csv"
    table.write_text(
        "\ufeffpath,emotion,upload,labeller\n"
        "two.wav,angry,,anna\none.wav,happy,,anna\none.wav, happy ,a.zip,anna\none.wav,calm,b.zip,\n"
        "three.wav,calm,,\ntwo.wav,bored,,bert\ntwo.wav,sad,b.zip,bert\n",
        encoding="utf-8",
    )
    done = stack.voxmood("label", "import", str(job), str(table))
    assert done.returncode == 1
    said = done.stderr.splitlines()
    assert [line.removeprefix(f"{table}, ") for line in said if line.startswith(str(table))] == [
        "line 3: one.wav is in a.zip and in b.zip; say which in a column named upload.",
        f"lines 6 and 8: three.wav is no path with a result in job {job}; the same of two.wav.",
        "line 7: 'bored' is no emotion of the champion or its unknowns: "
        "angry, calm, disgust, fearful, happy, neutral, sad, surprised.",
    ]  # fmt: skip
    assert said[-1] == "3 labels stored, 4 refused."

    table.write_text("path,emotion\ntwo.wav,bored\n")
    done = stack.voxmood("label", "import", str(job), str(table), "--json")
    assert done.returncode == 1
    told = json.loads(done.stdout)
    assert told["stored"] == 0
    assert [(one["lines"], one["code"]) for one in told["refused"]] == [([2], "unknown_emotion")]
    table.write_text("file,emotion\ntwo.wav,angry\n")
    done = stack.voxmood("label", "import", str(job), str(table))
    assert done.stderr.strip().endswith(f"{table}, line 1: the column path is missing.")

    export = stack.voxmood("results", str(job), "--format", "csv").stdout
    table.write_text(export)
    done = stack.voxmood("label", "import", str(job), str(table))
    assert done.returncode == 1
    assert "Add a column named label with what people hear" in " ".join(done.stderr.split())
    header, *rows = export.splitlines()
    judged = [f"{row},{'sad' if row.startswith('two.wav') else ''}" for row in rows]
    table.write_text("\n".join([f"{header},label", *judged, ""]))
    done = stack.voxmood("label", "import", str(job), str(table))
    assert done.stderr.splitlines()[-1] == "1 labels stored, 3 lines without a label left out."

    def listed() -> list[tuple[str, str, str]]:
        lines = stack.voxmood("label", "list", str(job), "--json").stdout.splitlines()
        return sorted((one["path"], one["emotion"], one["labeller"]) for one in map(json.loads, lines))

    assert listed() == [
        ("one.wav", "calm", ""), ("one.wav", "happy", "anna"), ("two.wav", "angry", "anna"),
        ("two.wav", "sad", ""),
    ]  # fmt: skip
    assert "two.wav  angry" in stack.voxmood("label", "list", str(job)).stdout
    done = stack.voxmood("label", "delete", str(job), "--path", "two.wav", "--labeller", "", "--yes")
    assert done.stderr.strip() == "1 labels deleted."
    assert ("two.wav", "sad", "") not in listed()

    done = stack.voxmood("retrain", "--now", "--wait")
    assert done.returncode == 0, done.stderr
    assert "Too few labels: training takes two emotions with 20 labelled recordings each" in done.stdout
    assert psutil.Process(stack.record.children["train"].pid).nice() == 19, "nobody waits for it"
    versions = [json.loads(line) for line in stack.voxmood("models", "list", "--json").stdout.splitlines()]
    assert [(one["version"], one["aliases"]) for one in versions] == [
        ("seed-v6", []), ("v8", ["champion"]), ("v8-six", []), ("v8-small", [])
    ]  # fmt: skip


@pytest.mark.long
def test_a_candidate_comes_from_labels_and_classifies_on_demand(new_stack, tmp_path: Path) -> None:
    clips = {
        f"{emotion}-{n}.wav": voice(emotion, n) for emotion in ("angry", "happy", "sad") for n in range(24)
    }
    settings = {"VOXMOOD_RETRAIN_EPOCHS": "5", "VOXMOOD_RETRAIN_MIN_LABELS": "50"}
    with new_stack("--workers", "1", **settings) as own:
        api = Api(own.api_url)
        job = api.run({"tapes.zip": zip_of(clips)})["id"]
        table = tmp_path / "labels.csv"
        table.write_text("path,emotion\n" + "".join(f"{path},{path.partition('-')[0]}\n" for path in clips))
        assert own.voxmood("label", "import", str(job), str(table)).returncode == 0
        done = own.voxmood("retrain", "--now", "--wait", "--json")
        assert "is the candidate" in json.loads(done.stdout)["text"], done.stdout + done.stderr
        done = own.voxmood("models", "list", "--json")
        aliases = {tuple(one["aliases"]): one["version"] for one in map(json.loads, done.stdout.splitlines())}
        assert aliases[("champion",)] == "v8"
        candidate = aliases[("candidate",)]

        archive = tmp_path / "more.zip"
        archive.write_bytes(zip_of({"new.wav": voice("angry", 99)}))
        done = own.voxmood("submit", str(archive), "--model", candidate, "--wait")
        assert done.returncode == 0, done.stderr
        (row,) = api.rows(int(done.stdout))
        assert row["model_version"] == candidate
        assert 0.5 <= sum(row[f"p_{emotion}"] for emotion in ("angry", "happy", "sad")) <= 1.0001
        (tmp_path / "new.wav").write_bytes(voice("angry", 99))
        done = own.voxmood("classify", str(tmp_path / "new.wav"), "--model", candidate, "--json")
        assert json.loads(done.stdout)["confidence"] == pytest.approx(row["confidence"], abs=1e-5)
