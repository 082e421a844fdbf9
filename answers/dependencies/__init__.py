"""References between objects, and references that lead nowhere."""
