module patchbay.dev/shared

go 1.26
