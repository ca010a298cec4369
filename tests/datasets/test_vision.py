"""torchvision can be imported beside any build of torch, and what we use of it works."""

import subprocess
import sys

import pytest
import torch

from resnet_bench.datasets import vision


def test_it_imports_first_thing_in_a_process_without_a_warning() -> None:
    program = (
        "from resnet_bench.datasets.vision import datasets, v2\n"
        "import torch, torchvision\n"
        "torch.ops.torchvision.nms, torch.ops.torchvision.qnms\n"
        "print(datasets.CIFAR10.__name__, v2.RandomCrop.__name__)"
    )
    command = [sys.executable, "-W", "error", "-c", program]
    result = subprocess.run(command, capture_output=True, text=True)
    assert (result.returncode, result.stdout) == (0, "CIFAR10 RandomCrop\n"), result.stderr


def test_transforms_work() -> None:
    image = torch.arange(3 * 4 * 4, dtype=torch.uint8).reshape(3, 4, 4)
    flipped = vision.v2.RandomHorizontalFlip(p=1)(image)
    assert torch.equal(flipped, image.flip(-1))
    to_float = vision.v2.Compose([vision.v2.ToDtype(torch.float32, scale=True)])
    torch.testing.assert_close(to_float(image), image / 255)


def test_fake_images_pass_through_a_data_loader() -> None:
    to_tensor = vision.v2.Compose([vision.v2.ToImage(), vision.v2.RandomCrop(32, padding=4)])
    fake = vision.datasets.FakeData(size=4, image_size=(3, 32, 32), transform=to_tensor)
    images, labels = next(iter(torch.utils.data.DataLoader(fake, batch_size=4)))
    assert images.shape == (4, 3, 32, 32)
    assert labels.shape == (4,)


@pytest.mark.parametrize(
    "message", ["operator torchvision::nms does not exist", "something else altogether"]
)
def test_another_failure_is_not_hidden(message: str) -> None:
    # Both operators exist by now, so that whatever fails, it is not their absence.
    error = RuntimeError(message)
    with pytest.raises(RuntimeError) as caught:
        vision._declare_missing_operators(error)
    assert caught.value is error
