"""The questions that studies answer, in a reader's words: the atlas is indexed by them.

A study names the keys that it answers (`Study.answers`). A question that is missing is added here.
"""

QUESTIONS = {
    "order": "What does a network learn first?",
    "width": "Does width help?",
    "depth": "Does depth help?",
    "step-size": "What does the step size decide?",
    "batch-size": "What does the noise of minibatches decide?",
    "optimiser": "What does the optimiser decide?",
    "initialisation": "What does the start decide?",
    "activation": "What does the activation decide?",
    "loss": "What does the loss decide?",
    "inputs": "What does the encoding of the inputs decide?",
    "implicit-bias": "Which of many solutions does training choose?",
    "features": "When does a network learn features, and when is it a kernel?",
    "generalisation": "Why does a network generalise, and when does it not?",
    "memorisation": "What does a network memorise?",
    "landscape": "What does the landscape of the loss look like?",
    "stability": "When is training stable?",
    "dimension": "Does dimension hurt?",
    "cost": "What does accuracy cost?",
    "solvers": "Where do networks beat classical solvers, and where not?",
    "symmetry": "What does a built-in symmetry buy?",
    "attention": "What does attention compute?",
    "generative": "What do generative models learn?",
    "graphs": "What shape do graphs have?",
    "structure": "What structure can be found without labels?",
    "physics": "What do networks share with physics?",
    "numbers": "What does counting settle?",
    "remedy": "What can be done about it?",
}
