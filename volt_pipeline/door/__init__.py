"""The door: what people at a terminal ask for and see. `cli.py` above names the commands, here they are done."""
