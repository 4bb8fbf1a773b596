"""Loops that clear up: holders and quiesced objects that no reset needs any more, and old rows."""
