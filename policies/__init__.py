"""What is compared: one file per policy, found by its `@register("name")`."""
