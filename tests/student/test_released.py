"""Published students by name: a table, one download, and the ways where there is no network."""

import tarfile
from dataclasses import replace

import pytest
import torch

import kit
from kit.data.classes import NUSCENES
from kit.student import released
from kit.student.checkpoints import load_probe, probe_file
from kit.student.waffleiron.config import WaffleIronConfig
from kit.student.waffleiron.model import WaffleIron


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("KIT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "published"


@pytest.fixture
def server(tmp_path, monkeypatch):
    """Files in place of the publishers' server; counts the downloads."""
    downloads = []

    def release(name, content):
        file = tmp_path / "ckpt_last.pth"
        torch.save(content, file)
        archive = tmp_path / released.RELEASES[name].file
        with tarfile.open(archive, "w:gz") as tar:
            tar.add(file, "logs/ckpt_last.pth")
        found = replace(released.RELEASES[name], url=archive.as_uri())
        monkeypatch.setitem(released.RELEASES, name, found)

    original = released.download_url_to_file

    def counted(url, *args, **options):
        downloads.append(url)
        return original(url, *args, progress=False, **options)

    monkeypatch.setattr(released, "download_url_to_file", counted)
    release.downloads = downloads
    return release


def checkpoint(**changes):
    student = WaffleIron(WaffleIronConfig(2, 8, head=(6,), **changes))
    return student, {f"module.{name}": each for name, each in student.state_dict().items()}


def test_a_student_is_downloaded_once_and_converted(cache, server, capsys):
    student, state = checkpoint(activation="gelu")
    server("scalr-plus", {"model_point": state})
    first, second = kit.pretrained("scalr-plus"), kit.pretrained("scalr-plus")
    assert len(server.downloads) == 1 and "sha256" in capsys.readouterr().out
    assert first.config == second.config == student.config
    assert all(
        torch.equal(a, b)
        for a, b in zip(first.state_dict().values(), student.state_dict().values(), strict=True)
    )
    names = {file.name for file in cache.iterdir() if not file.name.startswith(".")}
    assert names == {"scalr-plus.safetensors", "scalr-plus.safetensors.sha256"}


def with_head():
    """A checkpoint with a classification head, and the head."""
    _, state = checkpoint()
    state = {name: each for name, each in state.items() if "classif" not in name}
    head = torch.nn.Sequential(torch.nn.BatchNorm1d(8), torch.nn.Conv1d(8, 16, 1))
    state |= {f"module.classif.{name}": each for name, each in head.state_dict().items()}
    return {"net": state}, head


def test_its_probe_lies_beside_it(cache, server):
    content, head = with_head()
    server("scalr-probe-nuscenes", content)
    file = released.released_file("scalr-probe-nuscenes")
    probe = load_probe(probe_file(file))
    assert torch.equal(probe[1].weight, head[1].weight[..., 0])
    assert probe.class_names == NUSCENES.names


def test_a_conversion_that_was_killed_between_its_two_files_is_made_again(
    cache, server, monkeypatch
):
    content, _ = with_head()
    server("scalr-probe-nuscenes", content)

    def killed(*_, **__):
        raise KeyboardInterrupt

    for writer in ("save_probe", "save_student"):
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(f"kit.student.published.{writer}", killed)
            released.released_file("scalr-probe-nuscenes")
        assert not (cache / "scalr-probe-nuscenes.safetensors").exists()
    file = released.released_file("scalr-probe-nuscenes")
    assert file.exists() and probe_file(file).exists()
    assert len(server.downloads) == 1


def scenes(prefix, count):
    return [f"{prefix}{number % 7}" for number in range(count)]


@pytest.mark.parametrize(
    ("name", "scored", "is_same"),
    [
        ("scalr-probe-nuscenes", scenes("scene-000", 6019), True),
        ("scalr-probe-nuscenes", scenes("scene-000", 81), False),  # v1.0-mini
        ("scalr-probe-nuscenes", scenes("street ", 6019), False),
        ("scalr-plus-tuned-kitti-1", ["08"] * 4071, True),
        ("scalr-plus-probe-kitti", ["08", "09"] * 9, False),
        ("scalr-probe-pandar64", scenes("0", 20), False),
        ("scalr-tuned-pandargt", scenes("0", 20), False),
    ],
)
def test_a_published_score_says_what_it_was_measured_on(name, scored, is_same):
    line = released.published_score(name, scored)
    assert line.startswith(f"published: {released.RELEASES[name].miou} % on ")
    assert ("not comparable" not in line) == is_same
    assert ("PandarGT" in line) == name.endswith("pandargt")


def test_every_published_score_has_a_benchmark_and_the_right_classes():
    for name, release in released.RELEASES.items():
        assert (release.miou is None) == (release.benchmark is None), name
    assert released.published_score("scalr", scenes("scene-", 3)) is None
    classes = {n: len(each.classes) for n, each in released.BENCHMARKS.items()}
    assert classes == {"nuscenes": 16, "kitti": 19, "panda64": 17, "pandagt": 17}


def test_without_a_network_the_ways_are_listed(cache, monkeypatch):
    def no_network(*_, **__):
        raise OSError("no route to host")

    monkeypatch.setattr(released, "download_url_to_file", no_network)
    with pytest.raises(FileNotFoundError) as error:
        kit.pretrained("scalr-plus")
    text = str(error.value)
    assert released.RELEASES["scalr-plus"].url in text and "no route to host" in text
    assert f"put it at {cache / released.RELEASES['scalr-plus'].file}" in text
    assert "--activation gelu" in text


def test_a_file_that_was_put_there_is_used(cache, server, tmp_path):
    _, state = checkpoint()
    server("scalr", {"model_points": state})
    cache.mkdir(parents=True)
    file = released.RELEASES["scalr"].file
    (tmp_path / file).rename(cache / file)
    assert kit.pretrained("scalr").config.width == 8 and server.downloads == []
    assert (cache / file).exists()  # a user's file is not deleted


def test_a_wrong_digest_is_refused(cache, server, monkeypatch):
    _, state = checkpoint()
    server("scalr", {"model_points": state})
    release = released.RELEASES["scalr"]
    wrong = released.Release(release.url, sha256="0" * 64)
    monkeypatch.setitem(released.RELEASES, "scalr", wrong)
    with pytest.raises(FileNotFoundError, match="invalid hash value"):
        kit.pretrained("scalr")
    assert not list(cache.glob("*.tar.gz"))


def test_the_table_is_complete():
    for release in released.RELEASES.values():
        assert release.url.startswith("https://") and release.licence and release.layout
        assert release.sha256 is None or len(release.sha256) == 64
    assert released.RELEASES["slidr"].activation is None
