package outbound

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"syscall"

	"code.dny.dev/ssrf"
)

// BlockedError says that an address was not dialled.
type BlockedError struct {
	Addr  netip.Addr
	Class string // what is special about it, as "loopback"
}

// metadataClass is the class of addresses that only a prefix of their own opens.
const metadataClass = "cloud metadata"

// Error implements error.
func (e *BlockedError) Error() string {
	if e.Class == metadataClass {
		return fmt.Sprintf("%s (%s) is blocked: PATCHBAY_ALLOWED_CIDRS does not name that address itself", e.Addr, e.Class)
	}
	return fmt.Sprintf("%s (%s) is blocked: PATCHBAY_ALLOWED_CIDRS does not open it", e.Addr, e.Class)
}

// metadata are the addresses where clouds hand out credentials of the machine.
var metadata = addrs(
	"169.254.169.254", "fd00:ec2::254", "fd20:ce::254", "fd00:c1::a9fe:a9fe", "fe80::a9fe:a9fe", // AWS and most others; Google; Oracle; OpenStack
	"169.254.170.2", "169.254.170.23", "fd00:ec2::23", // AWS containers
	"168.63.129.16",                // Azure's wire server
	"100.100.100.200",              // Alibaba
	"192.0.0.192",                  // Oracle, older
	"169.254.42.42", "fd00:42::42", // Scaleway
	"169.254.0.23", // Tencent
)

// private are the ranges of local networks, where Jira and the like often are.
var private = prefixes("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")

// guard judges addresses, never names.
type guard struct {
	open []netip.Prefix
	safe *ssrf.Guardian // knows the special ranges of IANA's registries
}

func newGuard(cidrs []netip.Prefix) *guard {
	g := new(guard)
	for _, p := range cidrs {
		if a := p.Addr(); a.Is4In6() && p.Bits() >= 96 {
			p = netip.PrefixFrom(a.Unmap(), p.Bits()-96)
		}
		g.open = append(g.open, p)
	}
	allowed := slices.Concat(private, g.open) // a prefix matches its own family only
	g.safe = ssrf.New(ssrf.WithAnyPort(), ssrf.WithAllowedV4Prefixes(allowed...), ssrf.WithAllowedV6Prefixes(allowed...))
	return g
}

// control is called with each address that a name resolved to, just before it
// is dialled.
func (g *guard) control(_ context.Context, _, address string, _ syscall.RawConn) error {
	a, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	return g.check(a.Addr())
}

// check returns nil or a *[BlockedError].
func (g *guard) check(a netip.Addr) error {
	a = a.Unmap().WithZone("") // with a zone it would be in no prefix
	inside := embedded(a)
	for _, form := range append(inside, a) {
		if slices.Contains(metadata, form) && !slices.Contains(g.open, netip.PrefixFrom(form, form.BitLen())) {
			return &BlockedError{a, metadataClass}
		}
	}
	if g.safe.SafeAddr(a) != nil {
		return &BlockedError{a, class(a)}
	}
	if len(inside) == 1 && g.safe.SafeAddr(inside[0]) != nil {
		return &BlockedError{a, class(inside[0])}
	}
	return nil
}

// Ranges of IPv6 addresses that stand for IPv4 addresses.
var (
	nat64      = netip.MustParsePrefix("64:ff9b::/96")   // RFC 6052
	nat64Local = netip.MustParsePrefix("64:ff9b:1::/48") // RFC 8215
	sixToFour  = netip.MustParsePrefix("2002::/16")      // RFC 3056
	teredo     = netip.MustParsePrefix("2001::/32")      // RFC 4380
	compatible = netip.MustParsePrefix("::/96")          // RFC 4291
)

// embedded returns the IPv4 addresses that an IPv6 address may stand for; several
// if where it holds them depends on the network's settings.
func embedded(a netip.Addr) []netip.Addr {
	b := a.As16()
	v4 := func(i, j, k, l int) netip.Addr { return netip.AddrFrom4([4]byte{b[i], b[j], b[k], b[l]}) }
	switch {
	case compatible.Contains(a) && b[12] != 0 || nat64.Contains(a): // :: and ::1 are themselves
		return []netip.Addr{v4(12, 13, 14, 15)}
	case nat64Local.Contains(a):
		return []netip.Addr{v4(6, 7, 9, 10), v4(7, 9, 10, 11), v4(9, 10, 11, 12), v4(12, 13, 14, 15)}
	case sixToFour.Contains(a):
		return []netip.Addr{v4(2, 3, 4, 5)}
	case teredo.Contains(a):
		return []netip.Addr{netip.AddrFrom4([4]byte{^b[12], ^b[13], ^b[14], ^b[15]})}
	default:
		return nil
	}
}

// class names what is special about a blocked address.
func class(a netip.Addr) string {
	switch {
	case a.IsLoopback():
		return "loopback"
	case a.IsLinkLocalUnicast():
		return "link-local"
	case a.IsUnspecified():
		return "unspecified"
	case a.IsMulticast():
		return "multicast"
	case netip.MustParsePrefix("100.64.0.0/10").Contains(a):
		return "carrier-grade NAT"
	case len(embedded(a)) > 0:
		return "translated IPv4"
	default:
		return "special-purpose"
	}
}

func addrs(all ...string) (as []netip.Addr) {
	for _, s := range all {
		as = append(as, netip.MustParseAddr(s))
	}
	return as
}

func prefixes(all ...string) (ps []netip.Prefix) {
	for _, s := range all {
		ps = append(ps, netip.MustParsePrefix(s))
	}
	return ps
}
