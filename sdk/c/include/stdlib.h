/* The part of the C library that bindings and plugins need; weir.c has it. */
#ifndef WEIR_STDLIB_H
#define WEIR_STDLIB_H

#include <stddef.h>

void *malloc(size_t size);
void *calloc(size_t count, size_t size);
void *realloc(void *old, size_t size);
void free(void *block);
_Noreturn void abort(void);

#endif
