package config

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// SecurityProtocol is how a listener's connections are protected, numbered as in
// metadata records.
type SecurityProtocol int16

// The security protocols.
const (
	Plaintext SecurityProtocol = iota
	SSL
	SASLPlaintext
	SASLSSL
)

// String returns the protocol's name in listener.security.protocol.map.
func (p SecurityProtocol) String() string {
	names := [...]string{"PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"}
	if p < 0 || int(p) >= len(names) {
		return "UNKNOWN"
	}
	return names[p]
}

// Endpoint is one listener: where it listens, or how clients reach it.
type Endpoint struct {
	Name     string // such as "PLAINTEXT" or "INTERNAL"
	Host     string // empty: all addresses
	Port     int32
	Protocol SecurityProtocol
}

// String returns the endpoint as it is written in listeners.
func (e Endpoint) String() string {
	host := e.Host
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return e.Name + "://" + host + ":" + strconv.Itoa(int(e.Port))
}

// ParseEndpoints reads a value of listeners or advertised.listeners. Protocols maps
// listener names to protocols, as in listener.security.protocol.map.
func ParseEndpoints(value string, protocols []Entry) ([]Endpoint, error) {
	var list []Endpoint
	for _, text := range SplitList(value) {
		e, err := parseEndpoint(text)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(list, func(o Endpoint) bool { return o.Name == e.Name }) {
			return nil, fmt.Errorf("listener %s is named twice", e.Name)
		}
		protocol, ok := Find(protocols, e.Name)
		if !ok {
			return nil, fmt.Errorf("listener %s has no protocol in listener.security.protocol.map",
				e.Name)
		}
		if e.Protocol, ok = protocolOf(protocol); !ok {
			return nil, fmt.Errorf("listener %s has the unknown protocol %s", e.Name, protocol)
		}
		list = append(list, e)
	}
	return list, nil
}

func protocolOf(name string) (SecurityProtocol, bool) {
	for p := Plaintext; p <= SASLSSL; p++ {
		if p.String() == strings.ToUpper(name) {
			return p, true
		}
	}
	return 0, false
}

func parseEndpoint(text string) (Endpoint, error) {
	name, address, ok := strings.Cut(text, "://")
	colon := strings.LastIndexByte(address, ':')
	if !ok || name == "" || colon < 0 {
		return Endpoint{}, fmt.Errorf("listener %q is not of the form NAME://host:port", text)
	}
	host, portText := address[:colon], address[colon+1:]
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil {
		return Endpoint{}, fmt.Errorf("listener %q has the wrong port %q", text, portText)
	}
	bracketed := strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]")
	if bracketed {
		host = host[1 : len(host)-1]
	} else if strings.Contains(host, ":") {
		return Endpoint{}, fmt.Errorf("listener %q needs brackets around its address", text)
	}
	return Endpoint{Name: strings.ToUpper(name), Host: host, Port: int32(port)}, nil
}

// parseMap reads a value of the form key:value,key:value, sorted by key.
func parseMap(value string) ([]Entry, error) {
	var entries []Entry
	for _, pair := range SplitList(value) {
		i := strings.LastIndexByte(pair, ':')
		if i <= 0 {
			return nil, fmt.Errorf("%q is not of the form key:value", pair)
		}
		entries = With(entries, strings.TrimSpace(pair[:i]), strings.TrimSpace(pair[i+1:]))
	}
	return entries, nil
}

// Voter is where a voter of a fixed metadata quorum takes the requests of its peers.
type Voter struct {
	Host string
	Port int32
	ID   int32
}

// parseVoters reads a value of the form id@host:port,id@host:port, sorted by id.
func parseVoters(value string) ([]Voter, error) {
	var voters []Voter
	for _, text := range SplitList(value) {
		idText, address, ok := strings.Cut(text, "@")
		id, err := strconv.ParseInt(idText, 10, 32)
		if !ok || err != nil || id < 0 {
			return nil, fmt.Errorf("voter %q is not of the form id@host:port", text)
		}
		e, err := parseEndpoint("voter://" + address)
		if err != nil || e.Host == "" {
			return nil, fmt.Errorf("voter %q is not of the form id@host:port", text)
		}
		voters = append(voters, Voter{ID: int32(id), Host: e.Host, Port: e.Port})
	}
	slices.SortFunc(voters, func(a, b Voter) int { return cmp.Compare(a.ID, b.ID) })
	for i := range voters {
		if i > 0 && voters[i].ID == voters[i-1].ID {
			return nil, fmt.Errorf("voter %d is named twice", voters[i].ID)
		}
	}
	return voters, nil
}
