"""The lifecycle of clusters: desired and recorded state, plan, executor, journal."""
