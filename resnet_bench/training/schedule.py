"""Closed forms of the iteration: the learning rate (section 4.2), and when records are due."""

from dataclasses import dataclass

from resnet_bench.suites.recipe import Recipe


def learning_rate_at(iteration: int, recipe: Recipe) -> float:
    """The learning rate of `iteration`, counted from 0.

    "We start with a learning rate of 0.1, divide it by 10 at 32k and 48k iterations": the drop
    at 32000 first touches iteration 32000. The warm-up of depth 110 replaces the first
    iterations and leaves the later drops where they are, starting from the full rate.
    """
    if iteration < recipe.warmup_iterations:
        return recipe.warmup_learning_rate
    # One division by a power, so that 0.1 becomes 0.001 and not 0.0010000000000000002.
    passed = sum(iteration >= drop for drop in recipe.drops)
    return recipe.learning_rate / recipe.divide_by**passed


@dataclass(frozen=True)
class RecordSchedule:
    """When the records of a run are due, under its `recipe` with `images` training images.

    Records, epochs and iterations done count from 1.
    """

    recipe: Recipe
    images: int

    def iterations_per_epoch(self) -> int:
        """Whole batches an epoch, for the last-batch policies that have a fixed number."""
        whole, rest = divmod(self.images, self.recipe.batch_size)
        return whole + (1 if rest and self.recipe.last_batch == "short" else 0)

    def epoch_end(self, epoch: int) -> int:
        """The iteration after which `epoch` is over."""
        return self._end(epoch, 1)

    def record_end(self, record: int) -> int:
        """The iteration after which `record` is due; the last one's is the last of the recipe."""
        due = self._end(record, self.recipe.records_per_epoch)
        return min(due, self.recipe.iterations)

    def records(self) -> int:
        """How many records a whole run makes."""
        images, batch = self._epoch()
        parts = batch * self.recipe.records_per_epoch
        return (self.recipe.iterations - 1) * parts // images + 1

    def clean_due(self, record: int) -> bool:
        """Whether clean and precise errors are measured at `record`: at the last one always."""
        last = self.record_end(record) == self.recipe.iterations
        every = self.recipe.clean_every * self.recipe.records_per_epoch
        return last or record % every == 0

    def clean_records(self, records: int) -> int:
        """At how many of the first `records` records clean and precise errors are measured."""
        every = self.recipe.clean_every * self.recipe.records_per_epoch
        last = self.records()
        return records // every + (records >= last and last % every != 0)

    def _epoch(self) -> tuple[int, int]:
        """Iterations an epoch as a fraction: (numerator, denominator)."""
        if self.recipe.last_batch == "run-on":
            return self.images, self.recipe.batch_size
        return self.iterations_per_epoch(), 1

    def _end(self, part: int, parts_per_epoch: int) -> int:
        """The iteration after which so many `part`s of an epoch are over, rounded up."""
        iterations, epochs = self._epoch()
        return -(-part * iterations // (epochs * parts_per_epoch))
