"""Slurm on this machine alone: munged, slurmctld and slurmd in a folder of the benchmark.

Set up lean: no accounting, no cgroups, no prolog. Scheduling is as Slurm's defaults have it, or tuned
to look at the queue at once after each change.
"""
import os
import socket
import subprocess
import time

from harness.process import DATA, Daemon, free_port, run, wait_until

CONFIG = """ClusterName=bench
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={control}
SlurmdPort={node}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/backfill
{scheduling}
SlurmdParameters=config_overrides
MaxJobCount=200000
MinJobAge=2
ReturnToService=2
MessageTimeout=60
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
JobAcctGatherType=jobacct_gather/none
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory=1000 State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""

TUNED = ("SchedulerParameters=batch_sched_delay=0,sched_min_interval=0,sched_interval=1,"
         "bf_interval=1")
DEFAULTS = ""


class Slurm:
    """Leaving the block ends its jobs and its daemons. One at a time."""

    def __init__(self, cpus, scheduling=TUNED):
        self.scheduling = scheduling
        self.folder = DATA / "slurm"
        self.cpus = cpus
        self.daemons = []
        self.host = socket.gethostname().split(".")[0]
        self.config = self.folder / "slurm.conf"
        self.env = {**os.environ, "SLURM_CONF": str(self.config)}

    def __enter__(self):
        f = self.folder
        run("rm", "-rf", f)
        for part in ("state", "spool", "out"):
            (f / part).mkdir(parents=True)
        f.chmod(0o755)
        key = f / "munge.key"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o400)
        self.config.write_text(CONFIG.format(host=self.host, folder=f, cpus=self.cpus,
                                             scheduling=self.scheduling, control=free_port(),
                                             node=free_port()))
        try:
            self.start(["munged", "--foreground", "--force", f"--key-file={key}",
                        f"--socket={f}/munge.socket", f"--pid-file={f}/munged.pid",
                        f"--log-file={f}/munged.log", f"--seed-file={f}/munge.seed"])
            wait_until(lambda: (f / "munge.socket").exists(), 10, "munged")
            self.start(["slurmctld", "-D", "-c", "-f", self.config])
            self.start(["slurmd", "-D", "-f", self.config, "-N", self.host])
            wait_until(self.is_idle, 30, f"an idle Slurm node; see {f}")
        except Exception:
            self.__exit__()
            raise
        return self

    def start(self, command):
        self.daemons.append(Daemon(command, self.folder / f"{command[0]}.out", env=self.env))

    def __exit__(self, *_):
        subprocess.run(["timeout", "10", "scancel", "--state=RUNNING", "-u", "root"], env=self.env,
                       capture_output=True, check=False)
        for daemon in reversed(self.daemons):
            daemon.stop()

    def is_idle(self):
        said = subprocess.run(["timeout", "2", "sinfo", "-h", "-o", "%T"], env=self.env, text=True,
                              capture_output=True, check=False).stdout
        return "idle" in said

    def waiting(self):
        said = run("timeout", "30", "squeue", "-h", "-o", "%i", env=self.env)
        return len(said.split())

    def sbatch(self, *more, command="true"):
        return run("timeout", "60", "sbatch", "--parsable", "-o", "/dev/null", *more, "--wrap",
                   command, env=self.env).strip()

    def submit(self, jobs, at_once):
        """`jobs` sbatch processes, `at_once` at a time; seconds."""
        names = "".join(f"{i}\n" for i in range(jobs)).encode()
        script = ["sh", "-c", 'exec sbatch -n1 -Q -o /dev/null -J "j$0" --wrap true >/dev/null']
        began = time.perf_counter()
        subprocess.run(["xargs", "-P", str(at_once), "-n", "1", *script], input=names, check=True,
                       env=self.env)
        return time.perf_counter() - began

    def end_to_end(self, jobs, at_once):
        """Jobs per second from the first sbatch to the end of the last job."""
        began = time.perf_counter()
        self.submit(jobs, at_once)
        wait_until(lambda: self.unfinished() == 0, 300, "Slurm's jobs", every=0.05)
        return jobs / (time.perf_counter() - began)

    def unfinished(self):
        return len(run("timeout", "30", "squeue", "-h", "-t", "PD,R,CG,CF", "-o", "%i",
                       env=self.env).split())

    def first_line(self, number):
        """Seconds from the start of sbatch to the first line in the job's output file."""
        out = self.folder / "out" / f"{number}"
        began = time.perf_counter()
        self.sbatch("-o", out, command="echo first")
        wait_until(lambda: out.exists() and out.stat().st_size > 0, 60, "sbatch's output",
                   every=0.001)
        took = time.perf_counter() - began
        wait_until(lambda: self.unfinished() == 0, 60, "Slurm's job", every=0.05)
        return took
