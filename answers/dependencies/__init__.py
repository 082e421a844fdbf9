"""References of objects, and which lead nowhere."""
