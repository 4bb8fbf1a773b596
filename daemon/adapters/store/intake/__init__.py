"""The intake: entries judged and stored, with the offset of the batch that they came in."""
