"""The atlas in a browser: read it, run it, watch it, and publish it as a static site.

::

    shelf       which studies are shown: the installed ones and the user's own files
    reading     what the lab and the evidence hold, for pages: safe from several threads
    forms       the parameters of a study as fields, from their JSON schema
    queue       runs that wait, in a fair order, and those that are computed now
    computing   the process that computes a run; the server's own never does
    sketch      what that process draws of a run, and trace, what the server keeps of it
    uploads     a reader's own file, which a process of its own (admitting) decodes
    guard       who may ask at all: loopback names, token, origin, sizes, headers
    interaction what makes a figure answer: values to read, views to zoom
    pages       templates and the addresses in them
    app         the table of routes
    server      `chymist serve`
    site        `chymist atlas build`
"""
