"""TVM's MetaSchedule, the search-based rival (successor of Ansor, which Bolt was compared with)."""

from tuning.metaschedule.tuned import MetaTuned, tune_metaschedule

__all__ = ["MetaTuned", "tune_metaschedule"]
