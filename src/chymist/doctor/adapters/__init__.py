"""The doctor in other people's loops: a callback for Lightning, one for the Hugging Face Trainer.

Each is imported by its own name (`chymist.doctor.adapters.lightning`, `.transformers`), and needs
the extra of that name; nothing here imports either package.
"""
