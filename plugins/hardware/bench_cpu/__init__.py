"""Cost on the machine that the suite runs on."""
