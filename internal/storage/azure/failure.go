package azure

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"

	"github.com/durafleet/durafleet/internal/storage"
)

// sentinels gives the meaning of the service's error codes, of queues, tables and blobs alike.
// What is not listed is told by the status.
var sentinels = map[string]error{
	"ConditionNotMet":                       storage.ErrPrecondition,
	"ContainerAlreadyExists":                storage.ErrExists,
	"ContainerBeingDeleted":                 storage.ErrBeingDeleted,
	"EntityTooLarge":                        storage.ErrTooLarge,
	"LeaseAlreadyPresent":                   storage.ErrLeaseHeld,
	"LeaseIdMismatchWithContainerOperation": storage.ErrPrecondition,
	"LeaseIdMismatchWithLeaseOperation":     storage.ErrLeaseHeld,
	"LeaseIdMissing":                        storage.ErrPrecondition,
	"LeaseIsBreakingAndCannotBeAcquired":    storage.ErrLeaseHeld,
	"LeaseIsBreakingAndCannotBeChanged":     storage.ErrLeaseHeld,
	"LeaseIsBrokenAndCannotBeRenewed":       storage.ErrLeaseHeld,
	"LeaseLost":                             storage.ErrPrecondition,
	"LeaseNotPresentWithLeaseOperation":     storage.ErrLeaseHeld,
	"MessageTooLarge":                       storage.ErrTooLarge,
	"PopReceiptMismatch":                    storage.ErrReceipt,
	"PropertyValueTooLarge":                 storage.ErrTooLarge,
	"QueueBeingDeleted":                     storage.ErrBeingDeleted,
	"RequestBodyTooLarge":                   storage.ErrTooLarge,
	"TableBeingDeleted":                     storage.ErrBeingDeleted,
	"UpdateConditionNotSatisfied":           storage.ErrPrecondition,
}

// sentinel maps an error code and status of the service to one of the errors of package storage.
func sentinel(code string, status int) error {
	if known, ok := sentinels[code]; ok {
		return known
	}
	switch status {
	case http.StatusNotFound:
		return storage.ErrNotFound
	case http.StatusConflict:
		return storage.ErrExists
	case http.StatusPreconditionFailed:
		return storage.ErrPrecondition
	case http.StatusRequestEntityTooLarge:
		return storage.ErrTooLarge
	case http.StatusUnauthorized, http.StatusForbidden:
		return storage.ErrUnauthorized
	case http.StatusRequestTimeout, http.StatusTooManyRequests:
		return storage.ErrUnavailable
	}
	if status >= http.StatusInternalServerError {
		return storage.ErrUnavailable
	}
	return storage.ErrInvalid
}

// failure turns the error of a call into an error of package storage; nil stays nil. The SDK's
// error is not kept: its text may hold a URL with a SAS.
func (c *call) failure(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	result := &storage.Error{Op: c.op, Target: c.target, Ambiguous: c.ambiguous()}
	var answer *azcore.ResponseError
	var refusal *storage.Error
	switch {
	case errors.As(err, &refusal):
		return refusal
	case errors.As(err, &answer):
		c.judge(result, answer.ErrorCode, answer.StatusCode)
	case ctx.Err() != nil:
		result.Sentinel = ctx.Err()
	case c.reached():
		result.Sentinel = storage.ErrUnavailable
		result.Detail = harmless(err)
	case notRetriable(err):
		result.Sentinel = storage.ErrUnauthorized
		result.Detail = "no token: " + harmless(err)
	default:
		result.Sentinel = storage.ErrInvalid
		result.Detail = harmless(err)
	}
	return result
}

// judge fills in what the service answered.
func (c *call) judge(result *storage.Error, code string, status int) {
	result.Code = code
	result.Sentinel = sentinel(code, status)
	if code == "" {
		result.Detail = fmt.Sprintf("HTTP status %d", status)
	}
}

// notRetriable tells errors of credentials: those are the ones that end a request before it was
// sent.
func notRetriable(err error) bool {
	var mark interface{ NonRetriable() }
	return errors.As(err, &mark)
}

var secret = regexp.MustCompile(`(?i)(sig|signature|accountkey|sharedaccesssignature)=[^&;\s"]*`)

const maxDetail = 300

// harmless returns the text of an error without URLs' queries and without anything that looks
// like a secret.
func harmless(err error) string {
	var located *url.Error
	for errors.As(err, &located) {
		err = located.Err
	}
	text := secret.ReplaceAllString(err.Error(), "$1=…")
	if len(text) > maxDetail {
		text = text[:maxDetail] + "…"
	}
	return text
}
