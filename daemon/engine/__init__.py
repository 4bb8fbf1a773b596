"""The engine: claims resets, drives each through its states, runs steps, follows commands, applies acts."""
