"""The two things an experiment is made of, as typed, frozen data: a network and a recipe."""

from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import to_jsonable_python

from resnet_bench.errors import UserError

Shortcut = Literal["none", "A", "B", "C"]
Precision = Literal["ieee", "tf32", "bf16"]
Positive = Annotated[int, Field(gt=0)]


class Specification(BaseModel):
    """A frozen, typed part of a suite file; an unknown key or a wrong type is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


S = TypeVar("S", bound=Specification)


class Network(Specification):
    """What is trained. Section 4.2: 6n+2 weighted layers, three stages, one shortcut a pair."""

    architecture: Literal["cifar"] = "cifar"
    depth: Annotated[int, Field(ge=8)]
    shortcut: Shortcut  # none = plain; A = identity, zero padding; B, C = 1x1 projections
    zero_channels: Literal["end", "both"] = "end"  # option A: where the new channels go

    @model_validator(mode="after")
    def check_depth(self) -> Self:
        if (self.depth - 2) % 6:
            below = self.depth - (self.depth - 2) % 6
            raise ValueError(
                f"depth {self.depth} is not 6n+2; the nearest are {below} and {below + 6}"
            )
        return self

    @property
    def family(self) -> Literal["plain", "resnet"]:
        return "plain" if self.shortcut == "none" else "resnet"

    @property
    def blocks_per_stage(self) -> int:
        """The paper's n, in 6n+2."""
        return (self.depth - 2) // 6

    @property
    def name(self) -> str:
        return (
            f"plain-{self.depth}"
            if self.family == "plain"
            else f"resnet-{self.depth}-{self.shortcut}"
        )


class Recipe(Specification):
    """How a network is trained: the hyper-parameters of section 4.2.

    The fields from `train_images` on are points that the paper leaves open; the defaults are
    this benchmark's reading.
    """

    iterations: Positive
    batch_size: Positive = 128  # images
    learning_rate: Annotated[float, Field(gt=0)] = 0.1
    drops: tuple[Positive, ...] = ()  # iterations at which the learning rate is divided
    divide_by: Annotated[float, Field(gt=1)] = 10.0
    warmup_iterations: Annotated[int, Field(ge=0)] = 0  # the paper, depth 110: about 400
    warmup_learning_rate: Annotated[float, Field(gt=0)] = 0.01
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    weight_decay: Annotated[float, Field(ge=0)] = 1e-4  # on all parameters
    padding: Annotated[int, Field(ge=0)] = 4  # pixels on each side, then a random crop
    flip: bool = True  # random horizontal flip
    precision: Precision = "tf32"  # of convolutions and products; on a CPU tf32 runs as ieee

    train_images: Positive | Literal["all"] = "all"  # fewer: the rest is a validation set
    pad: Literal["after-mean", "before-mean"] = "after-mean"  # after: the border is the mean
    initialization: Literal["he-fan-in", "he-fan-out"] = "he-fan-in"  # convs, normal
    linear_initialization: Literal["pytorch", "he"] = "pytorch"
    batch_norm_images: Positive | Literal["batch"] = "batch"  # statistics over so many images
    last_batch: Literal["run-on", "short", "drop"] = "run-on"  # at the end of an epoch

    # What is measured besides the running training error; it does not touch the training.
    clean_every: Positive = 10  # epochs between clean and precise training errors
    precise_batches: Positive = 100  # training batches for the precise BN statistics
    layers_at: tuple[Annotated[int, Field(ge=0)], ...] = ()  # iterations at which layers are
    # measured (layers.csv); 0 is before the first, the last one is after all

    @model_validator(mode="after")
    def check_agreement(self) -> Self:
        if list(self.drops) != sorted(set(self.drops)):
            raise ValueError(f"drops {list(self.drops)} are not in increasing order")
        if self.drops and self.drops[-1] >= self.iterations:
            raise ValueError(
                f"the drop at {self.drops[-1]} comes after the last of {self.iterations} iterations"
            )
        if list(self.layers_at) != sorted(set(self.layers_at)):
            raise ValueError(f"layers_at {list(self.layers_at)} are not in increasing order")
        if self.layers_at and self.layers_at[-1] > self.iterations:
            raise ValueError(
                f"layers_at {self.layers_at[-1]} comes after the last of {self.iterations}"
                " iterations"
            )
        if self.warmup_iterations >= self.iterations:
            raise ValueError(
                f"the warm-up of {self.warmup_iterations} fills all {self.iterations} iterations"
            )
        if self.batch_norm_images != "batch" and self.batch_size % self.batch_norm_images:
            raise ValueError(
                f"batch_norm_images {self.batch_norm_images} does not divide"
                f" batch_size {self.batch_size}"
            )
        return self


def validate(schema: type[S], contents: dict[str, Any], where: str) -> S:
    """`contents` as a `schema`; raises UserError naming `where`, every wrong key and its value."""
    try:
        return schema.model_validate(_as_tuples(contents))
    except ValidationError as error:
        raise UserError(f"{where}: {one_line(error)}") from error


def with_later_fields(schema: type[S], contents: dict[str, Any]) -> dict[str, Any]:
    """`contents`, as an earlier version wrote it, with the fields that came since.

    A field that is added gets as its default what was done before it was there, so that the
    results of earlier versions stay what they are.
    """
    later = {
        name: to_jsonable_python(field.get_default())
        for name, field in schema.model_fields.items()
        if not field.is_required()
    }
    return {**later, **contents}


def _as_tuples(value: Any) -> Any:
    """TOML has lists, frozen models have tuples."""
    if isinstance(value, dict):
        return {key: _as_tuples(item) for key, item in value.items()}
    return tuple(_as_tuples(item) for item in value) if isinstance(value, list) else value


def one_line(error: ValidationError) -> str:
    parts = []
    for mistake in error.errors(include_url=False):
        key = ".".join(
            str(part) for part in mistake["loc"] if part not in ("constrained-int", "int")
        )
        message = mistake["msg"].removeprefix("Value error, ")
        if mistake["type"] == "extra_forbidden":
            message = "unknown key"
        elif mistake["type"] != "value_error":
            message += f" (got {mistake['input']!r})" if mistake["type"] != "missing" else ""
        parts.append(f"{key}: {message}" if key else message)
    return "; ".join(dict.fromkeys(parts))
