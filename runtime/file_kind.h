/* file_kind.h - what a file is that was given in the place of another, by its first bytes.  The compiler and the runtime
 * both read it; it needs nothing of either. */
#ifndef FILE_KIND_H
#define FILE_KIND_H

#include <stddef.h>
#include <string.h>

enum { FILE_KIND_BYTES = 16 };      /* so many are looked at, where the file has them */

/* "a PNG picture"; NULL: nothing that is known by its beginning. */
static inline const char *file_kind(const void *begin, size_t size)
{
    static const struct {
        const char *magic;
        size_t length, at;
        const char *name;
    } kinds[] = {
        {"PK\3\4", 4, 0, "a ZIP archive, as files of PyTorch (.pt), Keras (.keras) and NumPy (.npz) are"},
        {"\x89HDF\r\n", 6, 0, "an HDF5 file, as Keras writes (.h5)"},
        {"\x80\2", 2, 0, "a Python pickle, as older versions of PyTorch write"},
        {"\x80\4", 2, 0, "a Python pickle"},
        {"\x93NUMPY", 6, 0, "a NumPy array (.npy)"},
        {"\x89PNG\r\n", 6, 0, "a PNG picture"},
        {"\xFF\xD8\xFF", 3, 0, "a JPEG picture"},
        {"GIF8", 4, 0, "a GIF picture"},
        {"%PDF", 4, 0, "a PDF"},
        {"\x7F" "ELF", 4, 0, "a program"},
        {"\x1F\x8B", 2, 0, "packed with gzip"},
        {"BZh", 3, 0, "packed with bzip2"},
        {"\xFD" "7zXZ", 5, 0, "packed with xz"},
        {"\x28\xB5\x2F\xFD", 4, 0, "packed with zstd"},
        {"TFL3", 4, 4, "a TensorFlow Lite model"},
        {"GGUF", 4, 0, "a GGUF file"},
        {"\0\0\0\0\0{\"", 7, 3, "a safetensors file"},
        {"\0\0\0\0{\"", 6, 4, "a safetensors file"},
        {"\10\3\x12", 3, 0, "an ONNX model"},
        {"\10\4\x12", 3, 0, "an ONNX model"},
        {"\10\6\x12", 3, 0, "an ONNX model"},
        {"\10\7\x12", 3, 0, "an ONNX model"},
        {"\10\10\x12", 3, 0, "an ONNX model"},
        {"\10\11\x12", 3, 0, "an ONNX model"},
        {"\10\12\x12", 3, 0, "an ONNX model"},
    };

    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (size >= kinds[i].at + kinds[i].length &&
            !memcmp((const char *)begin + kinds[i].at, kinds[i].magic, kinds[i].length))
            return kinds[i].name;
    return NULL;
}

#endif
