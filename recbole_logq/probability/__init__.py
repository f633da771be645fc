"""What the pools' log-probabilities are made of: counts of training targets and inclusion probabilities."""

from recbole_logq.probability.frequency import TargetCounts
from recbole_logq.probability.inclusion import log_inclusion_of_draws
from recbole_logq.probability.log1mexp import log1mexp

__all__ = ["TargetCounts", "log1mexp", "log_inclusion_of_draws"]
