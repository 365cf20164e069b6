const element = document.getElementById("reference");
SwaggerUIBundle({
  url: element.dataset.schema,
  domNode: element,
  deepLinking: true,
  persistAuthorization: false,
  validatorUrl: null,
});
