"""What can be wrong with training data, models and their registry."""

from geofence.errors import ServicetimeError


class LearningError(ServicetimeError):
    """Base of what the learning side raises on purpose."""

    exit_status = 2


class NoTrainingData(LearningError):
    """A training table that is missing, empty or too short to learn from and to prove it."""


class NoSuchModel(LearningError):
    """A model version or alias that the registry does not hold."""


class RegistryUnusable(LearningError):
    """A registry that cannot be opened: a bad address, or no answer."""


class IncompatibleModel(LearningError):
    """A stored model whose feature schema is not the one of this version."""
