"""The commands, one module each: ``SUMMARY``, ``FLAGS``, ``EXAMPLES``, and ``execute`` with the options as given.

What a command needs is imported when it runs: asking for help, or a mistake in a flag, costs no second of torch.
"""
