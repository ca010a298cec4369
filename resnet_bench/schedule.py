"""The learning rate, as a closed form of the iteration (section 4.2)."""

from resnet_bench.specification import Recipe


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
