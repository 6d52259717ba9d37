"""Ring 4. Renderers: pure functions from a plan or a lock to a `Tree`."""
