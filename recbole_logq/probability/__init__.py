"""What the pools' log-probabilities are made of: counts of training targets and inclusion probabilities."""

from recbole_logq.probability.fixed_size import inclusion_of_size
from recbole_logq.probability.frequency import TargetCounts
from recbole_logq.probability.inclusion import log_inclusion_of_units
from recbole_logq.probability.log1mexp import log1mexp
from recbole_logq.probability.segments import SegmentFrequency

__all__ = ["SegmentFrequency", "TargetCounts", "inclusion_of_size", "log1mexp", "log_inclusion_of_units"]
