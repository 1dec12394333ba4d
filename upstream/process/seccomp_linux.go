package process

import (
	"runtime"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// auditArch is the kernel's name of the instruction set whose system calls are filtered, 0 where that is not built.
func auditArch() uint32 {
	switch runtime.GOARCH {
	case "amd64":
		return unix.AUDIT_ARCH_X86_64
	case "arm64":
		return unix.AUDIT_ARCH_AARCH64
	}
	return 0
}

// filterSockets leaves this thread, and what it starts, only sockets whose ports Landlock bounds, and those that stay on the machine. Landlock sees no
// Multipath TCP (https://github.com/landlock-lsm/linux/issues/54), no UDP before its version 10, and none of the other protocols; and what is
// asked of the kernel through io_uring, a filter of system calls does not see. UDP stays where names must be looked up.
func filterSockets(udp bool) error {
	const (
		nr, arch = 0, 4    // struct seccomp_data
		args     = 16      // the low half of the first argument, on a little-endian machine; each has 8 bytes
		x32      = 1 << 30 // calls of another interface with the same architecture
	)
	refuse := func(e unix.Errno) bpf.Instruction { return bpf.RetConstant{Val: unix.SECCOMP_RET_ERRNO | uint32(e)} }
	allow := bpf.RetConstant{Val: unix.SECCOMP_RET_ALLOW}
	datagrams := refuse(unix.EACCES)
	if udp {
		datagrams = allow
	}
	load := func(offset uint32) bpf.Instruction { return bpf.LoadAbsolute{Off: offset, Size: 4} }
	unless := func(value uint32) bpf.Instruction { // then the next one does not hold
		return bpf.JumpIf{Cond: bpf.JumpEqual, Val: value, SkipFalse: 1}
	}
	raw, err := bpf.Assemble([]bpf.Instruction{
		load(arch),
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: auditArch(), SkipTrue: 1},
		refuse(unix.ENOSYS),
		load(nr),
		bpf.JumpIf{Cond: bpf.JumpGreaterOrEqual, Val: x32, SkipFalse: 1},
		refuse(unix.ENOSYS),
		unless(unix.SYS_IO_URING_SETUP), refuse(unix.ENOSYS),
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.SYS_SOCKET, SkipTrue: 1},
		allow,
		load(args), // the family
		unless(unix.AF_UNIX), allow,
		unless(unix.AF_NETLINK), allow, // addresses of the machine itself are looked up with it
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.AF_INET, SkipTrue: 2},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.AF_INET6, SkipTrue: 1},
		refuse(unix.EACCES),
		load(args + 8),
		bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: 0xf}, // the type, without its flags
		unless(unix.SOCK_DGRAM), datagrams,
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.SOCK_STREAM, SkipTrue: 1},
		refuse(unix.EACCES),
		load(args + 16), // the protocol
		unless(0), allow,
		unless(unix.IPPROTO_TCP), allow,
		refuse(unix.EPROTONOSUPPORT), // programs fall back to TCP
	})
	if err != nil {
		return err
	}
	filter := make([]unix.SockFilter, len(raw))
	for i, r := range raw {
		filter[i] = unix.SockFilter{Code: r.Op, Jt: r.Jt, Jf: r.Jf, K: r.K}
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	return unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&program)), 0, 0) //nolint:gosec // prctl(2) takes a pointer
}
