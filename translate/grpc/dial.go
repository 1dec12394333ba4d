package grpc

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/url"
	"slices"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"

	"weir/catalog/room"
	"weir/translate"
)

const (
	maxHeaderBytes   = 64 << 10
	keepaliveTimeout = 20 * time.Second
	// eachInTurn balances calls over all addresses.
	eachInTurn = `{"loadBalancingConfig":[{"round_robin":{}}]}`
)

// pool is the connections to one server and its replicas. Each carries many calls.
type pool struct {
	conns []*grpc.ClientConn
	turn  atomic.Uint64
	short atomic.Pointer[error] // of the last dial, when weir itself had nothing left for it
}

// shortage is why nothing could be dialled that is no fault of the server, nil for none. grpc-go waits ever longer after each failure, and hands on its text
// alone; here the next call dials again.
func (p *pool) shortage() error {
	err := p.short.Load()
	if err == nil {
		return nil
	}
	for _, c := range p.conns {
		c.ResetConnectBackoff()
	}
	return *err
}

// because is err with the shortage that led to it, if there is one.
func (p *pool) because(err error) error {
	if short := p.shortage(); short != nil {
		return fmt.Errorf("%w: %w", err, short)
	}
	return err
}

// open makes the connections; none is dialled before it is needed.
func open(spec *Spec, o *translate.Options) (*pool, error) {
	p := &pool{}
	options, err := p.dialOptions(spec, o)
	if err != nil {
		return nil, err
	}
	for range max(spec.Connections, 1) {
		r := manual.NewBuilderWithScheme("weir")
		r.InitialState(state(spec))
		c, err := grpc.NewClient("weir:///"+o.Upstream, append(slices.Clip(options), grpc.WithResolvers(r))...)
		if err != nil {
			p.close()
			return nil, err
		}
		p.conns = append(p.conns, c)
	}
	return p, nil
}

// state is the addresses of the configuration. Names are looked up when they are dialled, by whoever judges the addresses.
func state(spec *Spec) resolver.State {
	var s resolver.State
	for _, a := range spec.Addresses() {
		address := resolver.Address{Addr: dialAddress(a)}
		if u, err := url.Parse(a); err == nil && spec.Authority == "" {
			address.ServerName = u.Host
		}
		s.Endpoints = append(s.Endpoints, resolver.Endpoint{Addresses: []resolver.Address{address}})
	}
	return s
}

func (p *pool) dialOptions(spec *Spec, o *translate.Options) ([]grpc.DialOption, error) {
	dial := o.Dial
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	u, err := url.Parse(spec.Addresses()[0])
	if err != nil {
		return nil, fmt.Errorf("grpc: %w", err)
	}
	authority := spec.Authority
	if authority == "" {
		authority = u.Host
	}
	secure := insecure.NewCredentials()
	if !spec.plaintext() {
		config := &tls.Config{MinVersion: tls.VersionTLS12}
		if o.TLS != nil {
			config = o.TLS.Clone()
		}
		secure = credentials.NewTLS(config)
	}
	alive := spec.Keepalive
	if alive <= 0 {
		alive = defaultKeepalive
	}
	return []grpc.DialOption{
		grpc.WithTransportCredentials(secure),
		grpc.WithAuthority(authority),
		grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) {
			c, err := dial(ctx, "tcp", address)
			if room.Shortage(err) != "" {
				p.short.Store(&err)
			} else {
				p.short.Store(nil)
			}
			return c, err
		}),
		grpc.WithNoProxy(),
		grpc.WithDisableRetry(),
		grpc.WithDisableServiceConfig(),
		grpc.WithDefaultServiceConfig(eachInTurn),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: alive, Timeout: keepaliveTimeout}),
		grpc.WithMaxHeaderListSize(maxHeaderBytes),
		grpc.WithUserAgent("weir"),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(spec.maxBody()), grpc.ForceCodecV2(newCodec())),
		grpc.WithStaticStreamWindowSize(window),
		grpc.WithStaticConnWindowSize(sharedWindow),
	}, nil
}

// maxBody bounds one message of the server, in bytes.
func (s *Spec) maxBody() int {
	return int(min(s.BodyLimit(), 1<<31-1))
}

// next is the connection for the next call.
func (p *pool) next() *grpc.ClientConn {
	if len(p.conns) == 1 {
		return p.conns[0]
	}
	return p.conns[p.turn.Add(1)%uint64(len(p.conns))]
}

func (p *pool) close() {
	for _, c := range p.conns {
		_ = c.Close()
	}
}
