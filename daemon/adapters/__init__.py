"""One adapter for each outside system; it knows no other adapter and nothing of the engine."""
