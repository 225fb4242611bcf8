"""New arrays as NumPy makes them, with less looking up.

For each array ``PyArray_New`` asks the context for the handler of its memory, takes the handler's functions out of a
capsule and looks up a dtype. An entry asks for the handler once a call. Where it is NumPy's own, as it is unless
somebody has set another (NumPy's NEP 49), memory comes from its functions, and ``PyArray_NewFromDescr`` makes an array
around it, which then gets the handler and the flag of arrays that own their memory. tracemalloc is told, too: nothing
tells such an array from others. With another handler, and where there are no elements, ``PyArray_New`` is called.
"""

from __future__ import annotations

from typing import Final

from gradc.backends.llvm.entry import abi

OWNS: Final = 0x4
NEW_FLAGS: Final = 0x501
"""C-contiguous, aligned, writeable: what NumPy is asked for, which sets the flags that shape and strides tell."""

TRACE_DOMAIN: Final = 389047
"""The number under which NumPy's memory is known to tracemalloc."""

NEW: Final = f"""\
; NumPy's own handler where it is the one of this context, else null.
define ptr @gradc.handler() {{
  %now = call ptr @PyDataMem_GetHandler()
  %none = icmp eq ptr %now, null
  br i1 %none, label %clear, label %look
clear:
  call void @PyErr_Clear()
  ret ptr null
look:
  call void @Py_DecRef(ptr %now)
  %own = icmp eq ptr %now, @gradc.handler.own
  %result = select i1 %own, ptr %now, ptr null
  ret ptr %result
}}

; A new array that owns its %bytes of memory. Null with an exception set where there is no memory.
define ptr @gradc.new(ptr %handler, ptr %dtype, i32 %number, i32 %ndim, ptr %shape, i64 %bytes) {{
  %other = icmp eq ptr %handler, null
  %empty = icmp sle i64 %bytes, 0
  %plain = or i1 %other, %empty
  br i1 %plain, label %numpy, label %allocate
numpy:
  %made = call ptr @PyArray_New(ptr @PyArray_Type, i32 %ndim, ptr %shape, i32 %number, ptr null, ptr null, i32 0, i32 0,
    ptr null)
  ret ptr %made
allocate:
  %context.at = getelementptr i8, ptr @gradc.allocator, i64 {abi.HANDLER_CONTEXT}
  %context = load ptr, ptr %context.at
  %malloc.at = getelementptr i8, ptr @gradc.allocator, i64 {abi.HANDLER_MALLOC}
  %malloc = load ptr, ptr %malloc.at
  %data = call ptr %malloc(ptr %context, i64 %bytes)
  %no.memory = icmp eq ptr %data, null
  br i1 %no.memory, label %memory, label %wrap
memory:
  %error = call ptr @PyErr_NoMemory()
  ret ptr null
wrap:
  call void @Py_IncRef(ptr %dtype)
  %array = call ptr @PyArray_NewFromDescr(ptr @PyArray_Type, ptr %dtype, i32 %ndim, ptr %shape, ptr null, ptr %data,
    i32 {NEW_FLAGS}, ptr null)
  %failed = icmp eq ptr %array, null
  br i1 %failed, label %release, label %own
release:
  %free.at = getelementptr i8, ptr @gradc.allocator, i64 {abi.HANDLER_FREE}
  %free = load ptr, ptr %free.at
  call void %free(ptr %context, ptr %data, i64 %bytes)
  ret ptr null
own:
  call void @Py_IncRef(ptr %handler)
  %handler.at = getelementptr i8, ptr %array, i64 {abi.ARRAY_HANDLER}
  store ptr %handler, ptr %handler.at
  %flags.at = getelementptr i8, ptr %array, i64 {abi.ARRAY_FLAGS}
  %flags = load i32, ptr %flags.at
  %owning = or i32 %flags, {OWNS}
  store i32 %owning, ptr %flags.at
  %address = ptrtoint ptr %data to i64
  %traced = call i32 @PyTraceMalloc_Track(i32 {TRACE_DOMAIN}, i64 %address, i64 %bytes)
  ret ptr %array
}}
"""
