"""From a neural controller to a rule: the teacher, its weights, and the judge of both."""
