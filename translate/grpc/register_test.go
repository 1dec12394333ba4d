package grpc

import (
	"google.golang.org/grpc"
	"google.golang.org/grpc/reflection"
	v1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	v1alpha "google.golang.org/grpc/reflection/grpc_reflection_v1alpha"
)

func registerV1(s *grpc.Server, o reflection.ServerOptions) {
	v1.RegisterServerReflectionServer(s, reflection.NewServerV1(o))
}

func registerAlpha(s *grpc.Server, o reflection.ServerOptions) {
	v1alpha.RegisterServerReflectionServer(s, reflection.NewServer(o))
}
