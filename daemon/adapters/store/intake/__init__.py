"""The intake: entries decided and stored, with the offset of the batch that they came in."""
