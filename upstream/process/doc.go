// Package process owns the child processes of the gateway: it starts MCP servers with a clean environment, keeps the end of what they
// write to stderr, says how they ended, and sees to it that nothing of them is left, however the gateway itself ends.
//
// It stands below mcpconn, which speaks to the children over the pipes this package hands out. Restarting is its callers' decision.
//
// Decisions:
//
//   - A child leads a session of its own (setsid), and so a process group. Wrappers such as npx and uvx hide the real server behind
//     themselves, so signals go to the group. A session rather than a mere group, because a background group that reads the terminal
//     is stopped by the kernel and hangs, while one without a terminal fails at once.
//   - Stopping is: close stdin, wait, SIGTERM, wait, SIGKILL until nothing is left. Servers that ignore the end of stdin are common.
//   - What left the group is found too, on Linux: a child carries WEIR_CHILD=<nonce>.<number> in its environment, which everything it
//     starts inherits, and /proc shows session, parent and environment of every process. So a grandchild that made a session of its
//     own goes with its server. One that also cleared its environment and lost its parent stays; PR_SET_CHILD_SUBREAPER would
//     find it, but makes weir the parent of strangers that os/exec does not expect to wait for, and ends with weir.
//   - A guard ends the children when weir cannot: weir's own program started a second time, in its own session, holding the read end
//     of a pipe that closes when weir is gone, SIGKILL included. It knows the groups and the nonce. Starting a child and telling the
//     guard cannot be one step; a child started in between is found by the nonce. Elsewhere than on Linux, where there is no
//     /proc to read, that gap of microseconds stays open. A shell script as guard would be smaller and need a shell;
//     a PID namespace needs privileges; cgroup.kill needs a writable cgroup.
//   - PR_SET_PDEATHSIG (Linux) kills the direct child even when weir and the guard are killed together. The kernel ties it to the
//     thread that made the child, so children are started from one locked thread that lives as long as its [Supervisor]. It covers no
//     grandchildren, which is why it cannot replace the guard. On Windows a job object per child does all of this.
//   - The guard's process is called mcp-guard and not weir, so that "pkill -9 weir" does not take the guard along.
//   - A group is never signalled once it was seen empty, and the guard compares the start time of a group's leader, so a process
//     number that the system gave to somebody else is never hit.
//   - A sandbox is set by weir's own program, started a second time, which binds itself and then becomes the command: Go has no place between fork and
//     exec for that, and to bind weir itself while it starts a child would bind its threads for good. Files and ports are Landlock's (go-landlock),
//     amounts are resource limits, both inherited by everything that the child starts, and both need no privileges. bubblewrap and namespaces need a
//     program to be installed and a kernel that lets users make namespaces; cgroups need one that is writable. Landlock sees neither UDP nor Multipath
//     TCP on most kernels, so a filter of system calls (seccomp) leaves only the sockets whose ports it does see.
//   - What the kernel cannot bound is not left unbounded in silence: the child is not started, unless the sandbox is optional. Capabilities go
//     with the sandbox: root without bounds on what root may do would not be bound.
//   - Stopping takes 2.5 seconds at most in a server that ignores all requests, so that three seconds after a stop nothing is left of any.
//   - Text from a child (stderr, junk) is stripped of control characters and of configured secrets before anything keeps it.
package process
