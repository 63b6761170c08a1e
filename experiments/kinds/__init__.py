"""What a run can be: one file per kind of experiment, each with a `@register("name")`."""
