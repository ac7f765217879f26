package azure

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// Endpoints are the base URLs of the three services of an account, such as
// https://account.queue.core.windows.net. A SAS is the query of each URL.
type Endpoints struct{ Blob, Queue, Table string }

// The well-known account of the storage emulator; its key is public.
const (
	developmentAccount = "devstoreaccount1"
	developmentKey     = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)

// connection is what a connection string says.
type connection struct {
	endpoints    Endpoints
	account, key string // both empty with a SAS
}

// parseConnection reads a connection string. Its errors name the offending setting, never a value.
func parseConnection(text string) (connection, error) {
	settings, err := splitConnection(text)
	if err != nil {
		return connection{}, err
	}
	if development, ok := settings["usedevelopmentstorage"]; ok {
		if !strings.EqualFold(development, "true") {
			return connection{}, errors.New("connection string: UseDevelopmentStorage must be true or absent")
		}
		return developmentConnection(settings["developmentstorageproxyuri"])
	}
	c := connection{account: settings["accountname"], key: settings["accountkey"]}
	sas := strings.TrimPrefix(settings["sharedaccesssignature"], "?")
	switch {
	case c.key == "" && sas == "":
		return connection{}, errors.New("connection string: AccountKey or SharedAccessSignature is missing")
	case c.key != "" && c.account == "":
		return connection{}, errors.New("connection string: AccountName is missing")
	case c.key != "":
		if _, err := base64.StdEncoding.DecodeString(c.key); err != nil {
			return connection{}, errors.New("connection string: AccountKey is not base64")
		}
		sas = ""
	default:
		c.account = ""
	}
	c.endpoints, err = connectionEndpoints(settings, sas)
	return c, err
}

// splitConnection returns the settings by lower-case name.
func splitConnection(text string) (map[string]string, error) {
	settings := map[string]string{}
	for i, part := range strings.Split(text, ";") {
		part = strings.TrimSpace(part)
		if part == "" {
			continue
		}
		name, value, found := strings.Cut(part, "=")
		if !found {
			return nil, fmt.Errorf("connection string: part %d is not of the form Name=Value", i+1)
		}
		name = strings.ToLower(strings.TrimSpace(name))
		if _, twice := settings[name]; twice {
			return nil, fmt.Errorf("connection string: part %d repeats a setting", i+1)
		}
		settings[name] = strings.TrimSpace(value)
	}
	if len(settings) == 0 {
		return nil, errors.New("connection string is empty")
	}
	return settings, nil
}

func developmentConnection(proxy string) (connection, error) {
	if proxy == "" {
		proxy = "http://127.0.0.1"
	}
	host, err := url.Parse(proxy)
	if err != nil || host.Hostname() == "" {
		return connection{}, errors.New("connection string: DevelopmentStorageProxyUri is no URL")
	}
	at := func(port int) string {
		return fmt.Sprintf("%s://%s:%d/%s", host.Scheme, host.Hostname(), port, developmentAccount)
	}
	return connection{
		endpoints: Endpoints{Blob: at(10000), Queue: at(10001), Table: at(10002)},
		account:   developmentAccount,
		key:       developmentKey,
	}, nil
}

func connectionEndpoints(settings map[string]string, sas string) (Endpoints, error) {
	protocol, suffix := settings["defaultendpointsprotocol"], settings["endpointsuffix"]
	if protocol == "" {
		protocol = "https"
	}
	if protocol != "http" && protocol != "https" {
		return Endpoints{}, errors.New("connection string: DefaultEndpointsProtocol must be http or https")
	}
	if suffix == "" {
		suffix = "core.windows.net"
	}
	endpoint := func(service string) (string, error) {
		base := settings[strings.ToLower(service)+"endpoint"]
		if base == "" {
			if settings["accountname"] == "" {
				return "", fmt.Errorf("connection string: AccountName and %sEndpoint are missing", service)
			}
			base = fmt.Sprintf("%s://%s.%s.%s", protocol, settings["accountname"], strings.ToLower(service), suffix)
		}
		parsed, err := parseEndpoint(service, base)
		if err != nil {
			return "", fmt.Errorf("connection string: %w", err)
		}
		if sas != "" {
			parsed.RawQuery = sas
		}
		return parsed.String(), nil
	}
	var result Endpoints
	var errs [3]error
	result.Blob, errs[0] = endpoint("Blob")
	result.Queue, errs[1] = endpoint("Queue")
	result.Table, errs[2] = endpoint("Table")
	return result, errors.Join(errs[:]...)
}

// parseEndpoint reads the base URL of a service. The error does not show it: it may hold a SAS.
func parseEndpoint(service, base string) (*url.URL, error) {
	parsed, err := url.Parse(base)
	if err != nil || parsed.Host == "" || parsed.Scheme != "http" && parsed.Scheme != "https" {
		return nil, fmt.Errorf("%s endpoint is no http or https URL", strings.ToLower(service))
	}
	parsed.Path = strings.TrimRight(parsed.Path, "/")
	parsed.RawPath = ""
	return parsed, nil
}
