/* cnnrt_mpi.h - a trainer under mpirun or srun (libcnnrt-mpi). */
#ifndef CNNRT_MPI_H
#define CNNRT_MPI_H

#include "cnnrt.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The trainer's command line by all processes of the job, which share out every batch: an emitted main where it is
 * compiled with -DCNN_MPI (CNNC_MPI=1 of cnnc.mk does that).  Begins and ends MPI.  Returns the exit status. */
CNN_API int cnn_mpi_main(const struct cnn_model *model, int argc, char **argv);

#ifdef __cplusplus
}
#endif
#endif
