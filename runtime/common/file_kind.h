/* file_kind.h - what a file is that was given in the place of another, by its first bytes.  The compiler and the
 * runtime both read it; it needs nothing of either. */
#ifndef FILE_KIND_H
#define FILE_KIND_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* "a PNG picture"; NULL: nothing that is known by its beginning. */
static inline const char *file_kind(const void *begin, size_t size)
{
    static const struct {
        const char *magic;
        size_t length, at;
        const char *name;
    } kinds[] = {
        /* first: the length that it begins with may look like anything */
        {"\0\0\0\0\0{", 6, 3, "a safetensors file"},
        {"\0\0\0\0{", 5, 4, "a safetensors file"},
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
static inline bool file_has(const char *bytes, size_t size, const char *text)
{
    size_t length = strlen(text);

    for (size_t i = 0; i + length <= size; i++)
        if (bytes[i] == text[0] && !memcmp(bytes + i, text, length))
            return true;
    return false;
}

/* Of a file given for weights that are read as safetensors or .npz: what it is and what to give instead, after its name
 * and ": "; NULL: it may be one of them.  `bytes`: all of it, or its beginning and its end. */
static inline const char *file_kind_of_weights(const void *bytes, size_t size)
{
    static const char torch[] = "is a file of PyTorch's; give safetensors, which safetensors.torch.save_file("
                                "model.state_dict(), \"weights.safetensors\") writes";
    static const char keras[] = "is a file of Keras's; give its arrays as safetensors, or a trainer .npz, named as the "
                                "parameters (docs/runs.md)";
    const char *kind = file_kind(bytes, size);

    if (!kind || strstr(kind, "safetensors"))
        return NULL;
    if (strstr(kind, "ZIP"))
        return file_has(bytes, size, "data.pkl") ? torch : file_has(bytes, size, ".weights.h5") ? keras : NULL;
    if (strstr(kind, "HDF5"))
        return keras;
    if (strstr(kind, "pickle"))
        return torch;
    if (strstr(kind, "ONNX"))
        return "is an ONNX model; give its tensors as safetensors, named as the parameters (docs/runs.md)";
    if (strstr(kind, "Lite"))
        return "is a TensorFlow Lite model; give its tensors as safetensors, named as the parameters (docs/runs.md)";
    return strstr(kind, "NumPy") ? "is one array of NumPy's; a trainer reads many, named as the parameters, from .npz"
                                 : "holds no weights: give safetensors, as a run's last.safetensors";
}

#endif
