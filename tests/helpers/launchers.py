"""The variables that srun, sbatch and torchrun set in the processes that they start."""

Variables = dict[str, str]


def sbatch(ntasks: int, per_node: int | None = None) -> Variables:
    """Of the script of sbatch: a single process, which SLURM gives the job's number of tasks."""
    found = {"SLURM_JOB_ID": "1", "SLURM_JOB_NAME": "job.sh", "SLURM_NTASKS": str(ntasks)}
    found |= {"SLURM_NNODES": str(ntasks // (per_node or ntasks)), "SLURM_NODEID": "0"}
    found |= {"SLURM_PROCID": "0", "SLURM_LOCALID": "0"}
    return found | ({"SLURM_NTASKS_PER_NODE": str(per_node)} if per_node else {})


def srun(ntasks: int, per_node: int | None = None) -> list[Variables]:
    """Of each process of a step, started in a script of sbatch."""
    step = {"SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": str(ntasks)}
    found = []
    for rank in range(ntasks):
        node, local = divmod(rank, per_node or ntasks)
        of_one = {"SLURM_PROCID": str(rank), "SLURM_LOCALID": str(local)}
        found.append({**sbatch(ntasks, per_node), **step, **of_one, "SLURM_NODEID": str(node)})
    return found


def torchrun(ranks: int, per_node: int, inside: list[Variables] | None = None) -> list[Variables]:
    """Of each process; `inside` has the variables of torchrun itself, one a machine."""
    found = []
    for rank in range(ranks):
        node, local = divmod(rank, per_node)
        own = {"RANK": str(rank), "WORLD_SIZE": str(ranks)}
        own |= {"LOCAL_RANK": str(local), "LOCAL_WORLD_SIZE": str(per_node)}
        found.append({**(inside[node] if inside else {}), **own})
    return found
