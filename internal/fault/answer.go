package fault

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/durafleet/durafleet/internal/storage"
)

// refusal is an answer of the service to a request that it did not carry out, or says it did not.
type refusal struct {
	status        int
	code, message string
}

var refusals = map[Fault]refusal{
	Busy:        {http.StatusServiceUnavailable, "ServerBusy", "The server is busy."},
	Throttled:   {http.StatusTooManyRequests, "TooManyRequests", "The request is being throttled as the limit has been reached for the account."},
	TimedOut:    {http.StatusInternalServerError, "OperationTimedOut", "Operation could not be completed within the specified time."},
	LateTimeout: {http.StatusInternalServerError, "OperationTimedOut", "Operation could not be completed within the specified time."},
}

// unmet is the answer to a request whose condition does not hold, by service.
func unmet(kind storage.Kind) refusal {
	if isTable(kind) {
		return refusal{http.StatusPreconditionFailed, "UpdateConditionNotSatisfied", "The update condition specified in the request was not satisfied."}
	}
	return refusal{http.StatusPreconditionFailed, "ConditionNotMet", "The condition specified using HTTP conditional header(s) is not met."}
}

func isTable(kind storage.Kind) bool { return strings.HasPrefix(string(kind), "table.") }

// answerTo is the answer by which a request learns of a fault.
func answerTo(request *http.Request, kind storage.Kind, rule *Rule) *http.Response {
	r := refusals[rule.Fault]
	if rule.Fault == Unmet {
		r = unmet(kind)
	}
	// A service that is too busy does not look into a transaction; all else is an operation's fault.
	if isBatch(request) && rule.Fault != Busy && rule.Fault != Throttled {
		return inBatch(request, r)
	}
	header := http.Header{}
	if rule.Fault == Busy || rule.Fault == Throttled {
		header.Set("Retry-After", strconv.FormatInt(int64((rule.delay()+time.Second-1)/time.Second), 10))
	}
	if isTable(kind) {
		header.Set("Content-Type", "application/json;odata=minimalmetadata;streaming=true;charset=utf-8")
		return respond(request, r.status, header, r.json(""))
	}
	header.Set("Content-Type", "application/xml")
	header.Set("x-ms-error-code", r.code)
	if request.Method == http.MethodHead {
		return respond(request, r.status, header, "")
	}
	return respond(request, r.status, header, r.xml())
}

// inBatch is the answer to a transaction whose first operation was refused.
func inBatch(request *http.Request, r refusal) *http.Response {
	const batch, changes = "batchresponse_8c6f4d0e", "changesetresponse_5b1f9a27"
	var body strings.Builder
	fmt.Fprintf(&body, "--%s\r\nContent-Type: multipart/mixed; boundary=%s\r\n\r\n", batch, changes)
	fmt.Fprintf(&body, "--%s\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n", changes)
	fmt.Fprintf(&body, "HTTP/1.1 %d %s\r\nX-Content-Type-Options: nosniff\r\nDataServiceVersion: 3.0;\r\n", r.status, http.StatusText(r.status))
	fmt.Fprintf(&body, "Content-Type: application/json;odata=minimalmetadata;streaming=true;charset=utf-8\r\n\r\n%s\r\n", r.json("0:"))
	fmt.Fprintf(&body, "--%s--\r\n--%s--\r\n", changes, batch)
	header := http.Header{"Content-Type": {"multipart/mixed; boundary=" + batch}}
	return respond(request, http.StatusAccepted, header, body.String())
}

// json is the body of the answer as tables give it. In a transaction the message begins with the
// number of the operation.
func (r refusal) json(operation string) string {
	type message struct {
		Lang  string `json:"lang"`
		Value string `json:"value"`
	}
	type failure struct {
		Code    string  `json:"code"`
		Message message `json:"message"`
	}
	body := map[string]failure{"odata.error": {r.code, message{"en-US", operation + r.message + trailer()}}}
	text, err := json.Marshal(body)
	if err != nil {
		panic(err) // strings can always be encoded
	}
	return string(text)
}

// xml is the body of the answer as queues and blobs give it, byte order mark included.
func (r refusal) xml() string {
	return "\ufeff<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>" + r.code + "</Code><Message>" +
		r.message + trailer() + "</Message></Error>"
}

// trailer ends every message of the service.
func trailer() string {
	return "\nRequestId:6d1f2a53-0003-0044-2f8e-000000000000\nTime:" + time.Now().UTC().Format("2006-01-02T15:04:05.0000000Z")
}

func respond(request *http.Request, status int, header http.Header, body string) *http.Response {
	header.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	header.Set("x-ms-version", "2020-12-06")
	return &http.Response{
		Status: strconv.Itoa(status) + " " + http.StatusText(status), StatusCode: status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: header, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)),
		Request: request,
	}
}
