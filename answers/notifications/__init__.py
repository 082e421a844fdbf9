"""Events that people are told, and snoozes."""
