package azure

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"mime/multipart"
	"net/http"
	"slices"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"

	"github.com/durafleet/durafleet/internal/storage"
)

// Transact implements storage.Tables.
func (p *tables) Transact(ctx context.Context, table string, operations []storage.Operation, once bool) ([]storage.ETag, error) {
	if err := storage.CheckTableName(storage.TableTransact, table); err != nil {
		return nil, err
	}
	if err := storage.CheckOperations(table, operations); err != nil {
		return nil, err
	}
	r, err := p.batch(table, operations)
	if err != nil {
		return nil, err
	}
	ctx, c := begin(ctx, storage.TableTransact, table)
	sending := ctx
	if once {
		sending = policy.WithRetryOptions(ctx, p.once)
	}
	response, err := p.send(sending, r)
	if err != nil {
		return nil, c.failure(ctx, err)
	}
	etags, err := c.outcome(response, len(operations))
	if err != nil {
		return nil, c.failure(ctx, err)
	}
	return etags, nil
}

// batch is the request that carries out the operations as one change set.
func (p *tables) batch(table string, operations []storage.Operation) (request, error) {
	id, err := runtime.NewUUID()
	if err != nil {
		return request{}, fmt.Errorf("make a boundary: %w", err)
	}
	body := p.batchBody(id, table, operations, p.ascii)
	if p.ascii && len(body) > storage.MaxTransactionBytes {
		body = p.batchBody(id, table, operations, false)
	}
	if len(body) > storage.MaxTransactionBytes {
		return request{}, storage.Refusal(storage.TableTransact, table, storage.ErrTooLarge,
			"transaction of %d bytes, at most %d", len(body), storage.MaxTransactionBytes)
	}
	return request{
		method: http.MethodPost,
		path:   "$batch",
		header: map[string]string{"Content-Type": "multipart/mixed; boundary=batch_" + id},
		body:   body,
	}, nil
}

func (p *tables) batchBody(id, table string, operations []storage.Operation, ascii bool) []byte {
	var body bytes.Buffer
	fmt.Fprintf(&body, "--batch_%s\r\nContent-Type: multipart/mixed; boundary=changeset_%s\r\n\r\n", id, id)
	for _, operation := range operations {
		fmt.Fprintf(&body, "--changeset_%s\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n", id)
		p.writeOperation(&body, rowRequest(table, operation, ascii))
	}
	fmt.Fprintf(&body, "--changeset_%s--\r\n--batch_%s--\r\n", id, id)
	return body.Bytes()
}

// writeOperation writes the request of one operation. Its URL carries no SAS: the outer one
// authorizes.
func (p *tables) writeOperation(body *bytes.Buffer, r request) {
	fmt.Fprintf(body, "%s %s/%s HTTP/1.1\r\n", r.method, p.base, r.path)
	fmt.Fprintf(body, "Accept: %s\r\nDataServiceVersion: %s\r\n", acceptMinimal, dataVersion)
	for _, name := range slices.Sorted(maps.Keys(r.header)) {
		fmt.Fprintf(body, "%s: %s\r\n", name, r.header[name])
	}
	if r.body != nil {
		fmt.Fprintf(body, "Content-Type: %s\r\nContent-Length: %d\r\n", jsonContent, len(r.body))
	}
	body.WriteString("\r\n")
	body.Write(r.body)
	body.WriteString("\r\n")
}

// outcome reads the answer to a transaction: an ETag for each operation, or the failure of one.
func (c *call) outcome(response *http.Response, operations int) ([]storage.ETag, error) {
	parts, err := answerParts(response)
	if err != nil {
		return nil, err
	}
	var etags []storage.ETag
	for {
		part, err := parts.NextPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errMalformed, err)
		}
		answer, err := http.ReadResponse(bufio.NewReader(part), nil)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errMalformed, err)
		}
		if answer.StatusCode >= http.StatusBadRequest {
			return nil, c.operationFailure(answer)
		}
		etags = append(etags, storage.ETag(answer.Header.Get(headerETag)))
	}
	if len(etags) != operations {
		return nil, fmt.Errorf("%w: %d answers to %d operations", errMalformed, len(etags), operations)
	}
	return etags, nil
}

// answerParts opens the change set within the answer to a batch.
func answerParts(response *http.Response) (*multipart.Reader, error) {
	payload, err := runtime.Payload(response)
	if err != nil {
		return nil, err
	}
	boundary, err := boundaryOf(response.Header.Get("Content-Type"))
	if err != nil {
		return nil, err
	}
	part, err := multipart.NewReader(bytes.NewReader(payload), boundary).NextPart()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errMalformed, err)
	}
	boundary, err = boundaryOf(part.Header.Get("Content-Type"))
	if err != nil {
		return nil, err
	}
	return multipart.NewReader(part, boundary), nil
}

func boundaryOf(contentType string) (string, error) {
	_, parameters, err := mime.ParseMediaType(contentType)
	if err != nil {
		return "", fmt.Errorf("%w: %w", errMalformed, err)
	}
	return parameters["boundary"], nil
}

// operationFailure is the error of a transaction of which one operation was refused.
func (c *call) operationFailure(answer *http.Response) error {
	if answer.StatusCode < http.StatusInternalServerError {
		c.answeredNo()
	}
	var body struct {
		Error struct {
			Code    string
			Message struct{ Value string }
		} `json:"odata.error"`
	}
	data, err := io.ReadAll(answer.Body)
	if err == nil {
		err = json.Unmarshal(bytes.TrimSpace(data), &body)
	}
	code := answer.Header.Get(headerErrorCode)
	if code == "" && err == nil {
		code = body.Error.Code
	}
	result := &storage.Error{Op: c.op, Target: c.target, Ambiguous: c.ambiguous()}
	c.judge(result, code, answer.StatusCode)
	// The message begins with the number of the operation; the rest of it may hold user data.
	if number, _, found := strings.Cut(body.Error.Message.Value, ":"); found && len(number) <= 2 {
		result.Detail = strings.TrimSuffix("operation "+number+" "+result.Detail, " ")
	}
	return result
}
