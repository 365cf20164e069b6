"""The console's own base: sign-in, current workspace, lists, forms and pages that every admin module builds on."""
