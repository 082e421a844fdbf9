"""Which objects refer to which, and which references lead nowhere."""
